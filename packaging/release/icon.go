package main

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strconv"
)

// The sign of the program, as embed/static/favicon.svg has it, on a square of 32.
const (
	signSize   = 32.0
	signCorner = 7.0
	signStroke = 3.5
	signRim    = 1.0 // left free around it
)

type point struct{ x, y float64 }

// wave is a line of the sign at a height, as many points.
func wave(y float64) []point {
	var line []point
	for _, c := range [][4]point{
		{{6, y}, {10, y - 5}, {13, y - 5}, {16, y}},
		{{16, y}, {19, y + 5}, {22, y + 5}, {26, y}},
	} {
		for i := range 65 {
			t := float64(i) / 64
			u := 1 - t
			at := func(a, b, c, d float64) float64 { return u*u*u*a + 3*u*u*t*b + 3*u*t*t*c + t*t*t*d }
			line = append(line, point{at(c[0].x, c[1].x, c[2].x, c[3].x), at(c[0].y, c[1].y, c[2].y, c[3].y)})
		}
	}
	return line
}

// drawIcon draws the sign.
func drawIcon(size int) *image.NRGBA {
	const fine = 4 // samples a side of each pixel
	ground, upper, lower := color.NRGBA{0x0f, 0x76, 0x6e, 0xff}, color.NRGBA{0xff, 0xff, 0xff, 0xff}, color.NRGBA{0x5e, 0xea, 0xd4, 0xff}
	lines := []struct {
		points []point
		color  color.NRGBA
	}{{wave(12), upper}, {wave(21), lower}}
	at := func(p point) (color.NRGBA, bool) {
		for _, l := range lines {
			for _, q := range l.points {
				if math.Hypot(p.x-q.x, p.y-q.y) <= signStroke/2 {
					return l.color, true
				}
			}
		}
		// Inside the square with round corners: near enough to the square that is smaller by the corner.
		near := func(v float64) float64 { return min(max(v, signRim+signCorner), signSize-signRim-signCorner) }
		return ground, math.Hypot(p.x-near(p.x), p.y-near(p.y)) <= signCorner
	}
	img := image.NewNRGBA(image.Rect(0, 0, size, size))
	scale := signSize / float64(size*fine)
	for y := range size {
		for x := range size {
			var r, g, b, n int
			for i := range fine * fine {
				p := point{(float64(x*fine+i%fine) + 0.5) * scale, (float64(y*fine+i/fine) + 0.5) * scale}
				if c, in := at(p); in {
					r, g, b, n = r+int(c.R), g+int(c.G), b+int(c.B), n+1
				}
			}
			if n > 0 {
				img.SetNRGBA(x, y, color.NRGBA{uint8(r / n), uint8(g / n), uint8(b / n), uint8(255 * n / (fine * fine))})
			}
		}
	}
	return img
}

// writeIcons writes the sign in the forms that desktops want.
func writeIcons(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	pngs := map[int][]byte{}
	for _, size := range []int{16, 32, 48, 64, 128, 256, 512} {
		var b bytes.Buffer
		if err := png.Encode(&b, drawIcon(size)); err != nil {
			return err
		}
		pngs[size] = b.Bytes()
		if err := publish(filepath.Join(dir, "arus-"+strconv.Itoa(size)+".png"), b.Bytes()); err != nil {
			return err
		}
	}
	return publish(filepath.Join(dir, "arus.icns"), icns(pngs))
}

// icns is Apple's file of icons: PNGs, each behind its kind and length.
func icns(pngs map[int][]byte) []byte {
	var body bytes.Buffer
	for _, kind := range []struct {
		name string
		size int
	}{{"icp4", 16}, {"icp5", 32}, {"icp6", 64}, {"ic07", 128}, {"ic08", 256}, {"ic09", 512}} {
		body.WriteString(kind.name)
		_ = binary.Write(&body, binary.BigEndian, uint32(8+len(pngs[kind.size])))
		body.Write(pngs[kind.size])
	}
	var file bytes.Buffer
	file.WriteString("icns")
	_ = binary.Write(&file, binary.BigEndian, uint32(8+body.Len()))
	file.Write(body.Bytes())
	return file.Bytes()
}

// publish writes a file that everybody may read.
func publish(file string, text []byte) error {
	return os.WriteFile(file, text, 0o644)
}
