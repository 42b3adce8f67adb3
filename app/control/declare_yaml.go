package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"arus/app/model"
)

// declarationHead stands at the top of an exported file.
const declarationHead = `# The configuration of Arus: see "arus plan FILE" and "arus apply FILE".
# Secrets are references: ${env:NAME} or ${file:PATH}, read where Arus runs.
`

// YAML writes the declaration as a file. The same configuration gives the same
// bytes.
func (d Declaration) YAML() ([]byte, error) {
	text, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("write the configuration: %w", err)
	}
	for _, literal := range []bool{true, false} {
		w := yamlWriter{literal: literal}
		w.buf.WriteString(declarationHead)
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.UseNumber()
		if err := w.value(dec, 0, placeTop); err != nil {
			return nil, fmt.Errorf("write the configuration: %w", err)
		}
		// What is written must read as what it was made from, whatever a script holds.
		back, _, faults := yamlToJSON(w.buf.Bytes())
		if len(faults) == 0 && sameJSON(back, text) {
			return w.buf.Bytes(), nil
		}
	}
	return nil, errors.New("write the configuration: a text in it has no form in YAML")
}

// sameJSON says whether two texts hold the same, to the digits of numbers.
func sameJSON(a, b []byte) bool {
	x, errX := jsonTree(a)
	y, errY := jsonTree(b)
	return errX == nil && errY == nil && reflect.DeepEqual(x, y)
}

func jsonTree(text []byte) (tree any, err error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	err = dec.Decode(&tree)
	return tree, err
}

// yamlWriter turns JSON into YAML in block style. literal writes texts of
// several lines as they are, where that is exact.
type yamlWriter struct {
	buf     bytes.Buffer
	literal bool
}

// place says what stands before a value on its line.
type place int

const (
	placeTop place = iota
	placeKey       // "key:"
	placeItem
)

func (w *yamlWriter) value(dec *json.Decoder, indent int, at place) error {
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	if delim, ok := tok.(json.Delim); ok {
		return w.collection(dec, delim, indent, at)
	}
	if at == placeKey {
		w.buf.WriteByte(' ')
	}
	switch v := tok.(type) {
	case nil:
		w.buf.WriteString("null")
	case string:
		w.text(v, indent)
		return nil
	default:
		_, _ = fmt.Fprint(&w.buf, v)
	}
	w.buf.WriteByte('\n')
	return nil
}

func (w *yamlWriter) collection(dec *json.Decoder, open json.Delim, indent int, at place) error {
	if !dec.More() {
		if at == placeKey {
			w.buf.WriteByte(' ')
		}
		end, err := dec.Token()
		w.buf.WriteString(open.String() + fmt.Sprint(end) + "\n")
		return err
	}
	if at == placeKey {
		w.buf.WriteByte('\n')
	}
	for first := true; dec.More(); first = false {
		if !first || at != placeItem { // the first line of an item stands behind its dash
			w.buf.WriteString(strings.Repeat("  ", indent))
		}
		if open == '[' {
			w.buf.WriteString("- ")
			if err := w.value(dec, indent+1, placeItem); err != nil {
				return err
			}
			continue
		}
		key, err := dec.Token()
		if err != nil {
			return err
		}
		w.buf.WriteString(scalar(fmt.Sprint(key)) + ":")
		if err := w.value(dec, indent+1, placeKey); err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return err
}

// plainText needs no quotes in YAML, whatever version reads it, unless it is a word that means something.
var plainText = regexp.MustCompile(`^[A-Za-z_/][A-Za-z0-9_./@+-]*( [A-Za-z0-9_./@+-]+)*$`)

var yamlWords = regexp.MustCompile(`(?i)^(y|n|yes|no|on|off|true|false|null|nan|inf)$`)

// scalar writes a text on one line.
func scalar(text string) string {
	if plainText.MatchString(text) && !yamlWords.MatchString(text) {
		return text
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(text); err != nil {
		return strconv.Quote(text)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (w *yamlWriter) text(text string, indent int) {
	if !w.literal || !isLiteral(text) {
		w.buf.WriteString(scalar(text) + "\n")
		return
	}
	body, ends := strings.CutSuffix(text, "\n")
	if w.buf.WriteString("|"); !ends {
		w.buf.WriteString("-")
	}
	w.buf.WriteByte('\n')
	for line := range strings.SplitSeq(body, "\n") {
		if line != "" {
			w.buf.WriteString(strings.Repeat("  ", indent) + line)
		}
		w.buf.WriteByte('\n')
	}
}

// isLiteral says whether a text of several lines can stand as it is.
func isLiteral(text string) bool {
	body := strings.TrimSuffix(text, "\n")
	if !strings.Contains(text, "\n") || body == "" || strings.HasSuffix(body, "\n") || strings.ContainsAny(body[:1], " \t\n") {
		return false
	}
	for line := range strings.SplitSeq(body, "\n") {
		if strings.TrimRight(line, " \t") != line || strings.HasPrefix(line, "\t") {
			return false
		}
		for _, r := range line {
			if r < ' ' && r != '\t' || r >= 0x7f && r <= 0x9f || r == 0x2028 || r == 0x2029 || r == 0xfeff || r == 0xfffd {
				return false
			}
		}
	}
	return true
}

// maxDeclaration is how many bytes a file may have.
const maxDeclaration = 16 << 20

// yamlToJSON reads YAML as JSON, keeping the order of keys and the digits of
// numbers. lines says where each path stands.
func yamlToJSON(text []byte) (out []byte, lines map[string]int, faults []model.FieldError) {
	fault := func(path, format string, args ...any) []model.FieldError {
		return []model.FieldError{{Field: path, Message: fmt.Sprintf(format, args...)}}
	}
	if len(text) > maxDeclaration {
		return nil, nil, fault("the file", "has %d bytes, at most %d are allowed", len(text), maxDeclaration)
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, nil, fault("the file", "is no YAML: %v", strings.TrimSpace(err.Error()))
	}
	var docs []ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.CommentType {
			docs = append(docs, doc.Body)
		}
	}
	if len(docs) != 1 {
		return nil, nil, fault("the file", "must hold one document, not %d", len(docs))
	}
	r := yamlReader{lines: map[string]int{}, anchors: map[string]ast.Node{}}
	r.node(docs[0], "", 0)
	return r.buf.Bytes(), r.lines, r.faults
}

var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

type yamlReader struct {
	buf     bytes.Buffer
	lines   map[string]int
	anchors map[string]ast.Node
	faults  []model.FieldError
}

func (r *yamlReader) fault(path, format string, args ...any) {
	r.faults = append(r.faults, model.FieldError{Field: path, Message: fmt.Sprintf(format, args...)})
	r.buf.WriteString("null")
}

// maxDepth bounds what stands within each other; maxYAML what aliases can blow a file up to.
const (
	maxDepth = 64
	maxYAML  = 4 * maxDeclaration
)

func (r *yamlReader) node(n ast.Node, path string, depth int) {
	if depth > maxDepth || r.buf.Len() > maxYAML {
		r.fault(path, "lies too deep, or is too long")
		return
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		if _, known := r.lines[path]; !known {
			r.lines[path] = t.Position.Line
		}
	}
	switch v := n.(type) {
	case *ast.MappingNode:
		r.mapping(v.Values, path, depth)
	case *ast.MappingValueNode:
		r.mapping([]*ast.MappingValueNode{v}, path, depth)
	case *ast.SequenceNode:
		r.buf.WriteByte('[')
		for i, item := range v.Values {
			if i > 0 {
				r.buf.WriteByte(',')
			}
			r.node(item, fmt.Sprintf("%s[%d]", path, i), depth+1)
		}
		r.buf.WriteByte(']')
	case *ast.AnchorNode:
		r.anchors[v.Name.GetToken().Value] = v.Value
		r.node(v.Value, path, depth+1)
	case *ast.AliasNode:
		name := v.Value.GetToken().Value
		if to, ok := r.anchors[name]; ok {
			r.node(to, path, depth+1)
		} else {
			r.fault(path, "there is no anchor %q", name)
		}
	case *ast.StringNode:
		if v.Token.Type == token.StringType && jsonNumber.MatchString(v.Value) { // 1e5, which the parser takes for a text
			r.buf.WriteString(v.Value)
			return
		}
		r.string(v.Value)
	case *ast.LiteralNode:
		r.string(v.Value.Value)
	case *ast.BoolNode:
		r.buf.WriteString(strconv.FormatBool(v.Value))
	case *ast.NullNode:
		r.buf.WriteString("null")
	case *ast.IntegerNode, *ast.FloatNode:
		r.number(n.GetToken(), v)
	default:
		r.fault(path, "a %s has no place here", strings.ToLower(n.Type().String()))
	}
}

func (r *yamlReader) string(text string) {
	b, err := json.Marshal(text)
	if err != nil {
		b = []byte("null")
	}
	r.buf.Write(b)
}

// number keeps the digits as they stand, where JSON writes numbers so.
func (r *yamlReader) number(t *token.Token, n ast.Node) {
	if json.Valid([]byte(t.Value)) {
		r.buf.WriteString(t.Value)
		return
	}
	if scalar, ok := n.(ast.ScalarNode); ok {
		if b, err := json.Marshal(scalar.GetValue()); err == nil {
			r.buf.Write(b)
			return
		}
	}
	r.string(t.Value)
}

func (r *yamlReader) mapping(values []*ast.MappingValueNode, path string, depth int) {
	r.buf.WriteByte('{')
	seen := map[string]bool{}
	for i, v := range values {
		if i > 0 {
			r.buf.WriteByte(',')
		}
		key := ""
		switch k := v.Key.(type) {
		case *ast.StringNode:
			key = k.Value
		default:
			key = v.Key.GetToken().Value
		}
		at := key
		if path != "" {
			at = path + "." + key
		}
		if t := v.Key.GetToken(); t != nil && t.Position != nil {
			r.lines[at] = t.Position.Line
		}
		r.string(key)
		r.buf.WriteByte(':')
		if seen[key] {
			r.fault(at, "stands there twice")
			continue
		}
		seen[key] = true
		if v.Value == nil {
			r.buf.WriteString("null")
			continue
		}
		r.node(v.Value, at, depth+1)
	}
	r.buf.WriteByte('}')
}

// DeclarationFile is a declaration as it was read, with the lines of its parts.
type DeclarationFile struct {
	Declaration
	sections map[string]bool // the parts that the file has
	lines    map[string]int
}

// ReadDeclaration reads a file in YAML or JSON. All its faults are one
// *InvalidError, each with its line.
func ReadDeclaration(from io.Reader) (DeclarationFile, error) {
	var f DeclarationFile
	text, err := io.ReadAll(io.LimitReader(from, maxDeclaration+1))
	if err != nil {
		return f, fmt.Errorf("read the configuration file: %w", err)
	}
	asJSON, lines, faults := yamlToJSON(text)
	f.lines = lines
	if len(faults) > 0 {
		return f, f.invalid(faults)
	}
	tree, err := jsonTree(asJSON)
	if err != nil {
		return f, fmt.Errorf("read the configuration file: %w", err)
	}
	if faults = checkTree(declarationSchema(), tree, ""); len(faults) > 0 {
		return f, f.invalid(faults)
	}
	f.sections = map[string]bool{}
	if top, ok := tree.(map[string]any); ok {
		for key := range top {
			f.sections[key] = true
		}
	}
	if err := json.Unmarshal(asJSON, &f.Declaration); err != nil {
		return f, f.invalid([]model.FieldError{{Field: "the file", Message: err.Error()}})
	}
	return f, nil
}

// invalid is the error of all the faults, each with the line where it, or what
// it is a part of, stands.
func (f DeclarationFile) invalid(faults []model.FieldError) error {
	if len(faults) == 0 {
		return nil
	}
	for i, fault := range faults {
		for at := fault.Field; at != ""; {
			if line, ok := f.lines[at]; ok {
				faults[i].Field = fmt.Sprintf("line %d: %s", line, fault.Field)
				break
			}
			cut := strings.LastIndexAny(at, ".[")
			if cut < 0 {
				break
			}
			at = at[:cut]
		}
	}
	return &InvalidError{What: "the configuration file", Faults: faults}
}
