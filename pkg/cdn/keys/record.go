// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/proto"
)

// The first byte of each value: the format version, and a flag for compression
// (C8.43).
const (
	formatPlain = 0x01
	formatZstd  = 0x81
)

// Values above compressAbove bytes are compressed; none unpacks to more than
// maxUnpacked, which is above etcd's largest request.
const (
	compressAbove = 4 << 10
	maxUnpacked   = 4 << 20
)

// ErrFormat says that a value has a format that this release does not know.
var ErrFormat = errors.New("unknown value format")

// Encode makes the etcd value of a message: a format byte and the binary message,
// compressed when it is long.
func Encode(m proto.Message) ([]byte, error) {
	b, err := proto.MarshalOptions{}.MarshalAppend([]byte{formatPlain}, m)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	if len(b) <= compressAbove {
		return b, nil
	}
	return packer().EncodeAll(b[1:], []byte{formatZstd}), nil
}

// Decode reads a value made by Encode into m.
func Decode(value []byte, m proto.Message) error {
	name := m.ProtoReflect().Descriptor().FullName()
	if len(value) == 0 {
		return fmt.Errorf("decode %s: value is empty: %w", name, ErrFormat)
	}
	body := value[1:]
	switch value[0] {
	case formatPlain:
	case formatZstd:
		var err error
		if body, err = unpacker().DecodeAll(body, nil); err != nil {
			return fmt.Errorf("decode %s: unpack: %w", name, err)
		}
	default:
		return fmt.Errorf("decode %s: format %#x: %w", name, value[0], ErrFormat)
	}
	if err := proto.Unmarshal(body, m); err != nil {
		return fmt.Errorf("decode %s: %w", name, err)
	}
	return nil
}

// EncodeAll and DecodeAll are safe for concurrent use; one of each is enough.
var (
	packer = sync.OnceValue(func() *zstd.Encoder {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
		if err != nil {
			panic(err) // only for options out of range
		}
		return e
	})
	unpacker = sync.OnceValue(func() *zstd.Decoder {
		d, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxUnpacked), zstd.WithDecoderConcurrency(0))
		if err != nil {
			panic(err) // only for options out of range
		}
		return d
	})
)
