package servers

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

type clickHouse struct{ daemon string }

func (c *clickHouse) find() (err error) {
	c.daemon, err = lookup("clickhouse-server", "/usr/sbin", "/usr/bin", "/usr/local/bin", "/opt/homebrew/bin")
	return err
}

// prepare writes nothing but the account: the configuration holds the ports, and those differ from try to try. The root
// element <yandex> is the only one that servers before 2021 know, and later ones still take it.
func (c *clickHouse) prepare(_ context.Context, dir string) error {
	return os.WriteFile(filepath.Join(dir, "users.xml"), []byte(`<yandex>
  <profiles><default><max_memory_usage>2000000000</max_memory_usage></default></profiles>
  <users><default>
    <password></password>
    <networks><ip>127.0.0.1</ip></networks>
    <profile>default</profile>
    <quota>default</quota>
  </default></users>
  <quotas><default></default></quotas>
</yandex>
`), 0o600)
}

func (c *clickHouse) command(dir string, ports [3]int) ([]string, error) {
	config := filepath.Join(dir, "config-"+strconv.Itoa(ports[0])+".xml")
	text := fmt.Sprintf(`<yandex>
  <logger><level>warning</level><console>1</console></logger>
  <display_name>%[1]s</display_name>
  <listen_host>127.0.0.1</listen_host>
  <tcp_port>%[2]d</tcp_port>
  <http_port>%[3]d</http_port>
  <interserver_http_port>%[4]d</interserver_http_port>
  <interserver_http_host>127.0.0.1</interserver_http_host>
  <path>%[1]s/data/</path>
  <tmp_path>%[1]s/tmp/</tmp_path>
  <format_schema_path>%[1]s/schemas/</format_schema_path>
  <user_files_path>%[1]s/files/</user_files_path>
  <users_config>%[1]s/users.xml</users_config>
  <default_profile>default</default_profile>
  <default_database>default</default_database>
  <mark_cache_size>67108864</mark_cache_size>
  <timezone>UTC</timezone>
</yandex>
`, dir, ports[0], ports[1], ports[2])
	return []string{c.daemon, "--config-file=" + config}, os.WriteFile(config, []byte(text), 0o600)
}

// probe speaks just enough of the native protocol to be greeted. The greeting carries the display name, which the
// configuration sets to the server's directory.
func (c *clickHouse) probe(ctx context.Context, dir string, port int) (version string, err error) {
	hello, err := greetClickHouse(ctx, fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return "", err
	}
	return hello.version, sameServer(dir, hello.displayName)
}

type clickHouseHello struct{ version, displayName string }

func greetClickHouse(ctx context.Context, address string) (hello clickHouseHello, err error) {
	// The oldest revision of the protocol whose greeting ends with the display name and the patch level.
	const revision = 54401
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return hello, err
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return hello, err
		}
	}

	request := []byte{0} // hello
	text := func(s string) {
		request = binary.AppendUvarint(request, uint64(len(s)))
		request = append(request, s...)
	}
	text("arus tests")
	request = append(request, 1, 1) // client version
	request = binary.AppendUvarint(request, revision)
	text("default") // database
	text("default") // user
	text("")        // password
	if _, err := conn.Write(request); err != nil {
		return hello, err
	}

	reply := greeting{r: bufio.NewReader(conn)}
	if kind := reply.number(); reply.err == nil && kind != 0 {
		return hello, fmt.Errorf("greeted with packet %d", kind)
	}
	reply.text() // server name
	major, minor := reply.number(), reply.number()
	reply.number() // revision
	reply.text()   // time zone
	hello.displayName = reply.text()
	hello.version = fmt.Sprintf("%d.%d.%d", major, minor, reply.number())
	return hello, reply.err
}

// greeting reads fields until the first error, which it keeps.
type greeting struct {
	r   *bufio.Reader
	err error
}

func (g *greeting) number() (n uint64) {
	if g.err == nil {
		n, g.err = binary.ReadUvarint(g.r)
	}
	return n
}

func (g *greeting) text() string {
	n := g.number()
	if g.err == nil && n > 1<<16 {
		g.err = fmt.Errorf("a text of %d bytes in the greeting", n)
	}
	if g.err != nil {
		return ""
	}
	s := make([]byte, n)
	_, g.err = io.ReadFull(g.r, s)
	return string(s)
}
