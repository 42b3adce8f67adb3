package segment

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"sync"
)

// blockSize is how many bytes one checksum covers.
const blockSize = 1 << 16

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// summer counts what is written and sums it up block by block.
type summer struct {
	w     io.Writer
	n     int64
	sum   uint32
	table *crc32.Table
	sums  []byte
}

func (s *summer) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	for done := p[:n]; len(done) > 0; {
		part := done[:min(len(done), blockSize-int(s.n%blockSize))]
		s.sum = crc32.Update(s.sum, s.table, part)
		if s.n += int64(len(part)); s.n%blockSize == 0 {
			s.end()
		}
		done = done[len(part):]
	}
	return n, err
}

func (s *summer) end() {
	s.sums = binary.LittleEndian.AppendUint32(s.sums, s.sum)
	s.sum = 0
}

// all closes the last block and gives the checksums.
func (s *summer) all() []byte {
	if s.n%blockSize != 0 {
		s.end()
	}
	return s.sums
}

// checked reads a file by whole blocks and compares each with its checksum.
type checked struct {
	r     io.ReaderAt
	size  int64
	sums  []byte
	table *crc32.Table

	mu    sync.Mutex
	block int64 // the one in buf, -1 for none
	buf   []byte
}

func (c *checked) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > c.size {
		return 0, io.EOF
	}
	want := min(int64(len(p)), c.size-off)
	done := int64(0)
	for done < want {
		at := off + done
		block := at / blockSize
		begin := block * blockSize
		length := min(blockSize, c.size-begin)
		if at == begin && want-done >= length {
			if err := c.read(p[done:done+length], block); err != nil {
				return int(done), err
			}
			done += length
			continue
		}
		n, err := c.part(p[done:want], block, at-begin, length)
		if err != nil {
			return int(done), err
		}
		done += n
	}
	if want < int64(len(p)) {
		return int(want), io.EOF
	}
	return int(want), nil
}

// part copies from a block that is needed in part; the last such one is kept.
func (c *checked) part(p []byte, block, from, length int64) (int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.block != block {
		c.block = -1
		if c.buf == nil {
			c.buf = make([]byte, blockSize)
		}
		if err := c.read(c.buf[:length], block); err != nil {
			return 0, err
		}
		c.block = block
	}
	return int64(copy(p, c.buf[from:length])), nil
}

func (c *checked) read(p []byte, block int64) error {
	if _, err := c.r.ReadAt(p, block*blockSize); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if crc32.Checksum(p, c.table) != binary.LittleEndian.Uint32(c.sums[4*block:]) {
		return fmt.Errorf("%w: the checksum of its block %d differs", ErrDamaged, block)
	}
	return nil
}
