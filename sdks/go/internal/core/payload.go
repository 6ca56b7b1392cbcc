package core

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"strings"

	commonv1 "flowmesh.dev/gen/flowmesh/api/common/v1"
	executionv1 "flowmesh.dev/gen/flowmesh/api/execution/v1"
)

// Encode returns a value as JSON. It refuses what JSON cannot hold: NaN,
// cycles, functions, and text that is not UTF-8.
func Encode(value any) ([]byte, error) {
	if raw, ok := value.(json.RawMessage); ok {
		if len(raw) == 0 {
			return []byte("null"), nil
		}
		if !json.Valid(raw) {
			return nil, NewError(ErrInvalid, "JSON_INVALID", "the raw message is not JSON")
		}
		return raw, nil
	}
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, NewError(ErrInvalid, "JSON_INVALID", "the value cannot be written as JSON: %v", err).WithCause(err)
	}
	data := bytes.TrimSuffix(buffer.Bytes(), []byte("\n"))
	if replaced(data) {
		return nil, NewError(ErrInvalid, "JSON_INVALID", "the value cannot be written as JSON: a text of it is not UTF-8")
	}
	return data, nil
}

// replaced reports whether the encoder wrote the escape `\ufffd`, as it does
// for bytes that are not UTF-8; the character itself is written as it is.
func replaced(data []byte) bool {
	for rest := data; ; {
		at := bytes.Index(rest, []byte(`\ufffd`))
		if at < 0 {
			return false
		}
		slashes := 0
		for at-slashes > 0 && rest[at-slashes-1] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return true
		}
		rest = rest[at+1:]
	}
}

// Decode reads a JSON value. Numbers that go into an `any` are json.Number,
// so that they stay exact.
func Decode(data []byte, into any) error {
	if len(data) == 0 {
		data = []byte("null")
	}
	if raw, ok := into.(*json.RawMessage); ok {
		*raw = bytes.Clone(data)
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return NewError(ErrInvalid, "JSON_INVALID", "the value does not fit %T: %v", into, err).WithCause(err)
	}
	return nil
}

// Pack returns the payload of a value; a large one is stored first.
func (c *Caller) Pack(ctx context.Context, value any) (*commonv1.Payload, error) {
	data, err := c.Encoded(value)
	if err != nil {
		return nil, err
	}
	if len(data) <= InlineBytesMax {
		return &commonv1.Payload{Data: data}, nil
	}
	return c.Put(ctx, data, "")
}

// Unpack returns the bytes of a payload; those of a reference are fetched.
func (c *Caller) Unpack(ctx context.Context, payload *commonv1.Payload) ([]byte, error) {
	if reference := payload.GetReference(); reference != nil {
		return c.Fetch(ctx, reference.GetDigest())
	}
	return c.decoded(AsJSON(payload.GetData(), payload.GetEncoding()))
}

// AsJSON returns a value of another encoding as JSON: a text, or base64.
func AsJSON(data []byte, encoding string) []byte {
	if encoding == "" || strings.Contains(encoding, "json") || len(data) == 0 {
		return data
	}
	var value any = data
	if strings.HasPrefix(encoding, "text/") || strings.HasSuffix(encoding, "xml") {
		value = string(data)
	}
	found, err := json.Marshal(value)
	if err != nil {
		return nil
	}
	return found
}

// Put stores bytes and returns their payload.
func (c *Caller) Put(ctx context.Context, data []byte, encoding string) (*commonv1.Payload, error) {
	if len(data) > StoredBytesMax {
		return nil, NewError(ErrTooLarge, "PAYLOAD_TOO_LARGE",
			"the value has %d bytes; stored values are limited to %d", len(data), StoredBytesMax)
	}
	var payload *commonv1.Payload
	err := c.Retried(ctx, RetryTotal, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, RetryTotal)
		defer cancel()
		stream, err := executionv1.NewPayloadServiceClient(c).PutPayload(ctx)
		if err != nil {
			return err
		}
		for start := 0; start < len(data) || start == 0; start += chunkBytes {
			request := &executionv1.PutPayloadRequest{Chunk: data[start:min(start+chunkBytes, len(data))]}
			if start == 0 {
				request.Namespace, request.Encoding = c.Namespace, encoding
			}
			if err := stream.Send(request); err != nil {
				break // the response has the cause
			}
		}
		response, err := stream.CloseAndRecv()
		payload = response.GetPayload()
		return err
	})
	if err != nil {
		return nil, err
	}
	return payload, checkDigest(data, payload.GetReference().GetDigest())
}

// Get returns the bytes of a stored value and their encoding.
func (c *Caller) Get(ctx context.Context, digest string) (data []byte, encoding string, err error) {
	err = c.Retried(ctx, RetryTotal, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, RetryTotal)
		defer cancel()
		data, encoding = nil, ""
		request := &executionv1.GetPayloadRequest{Namespace: c.Namespace, Digest: digest}
		stream, err := executionv1.NewPayloadServiceClient(c).GetPayload(ctx, request)
		if err != nil {
			return err
		}
		for {
			response, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			if encoding == "" {
				encoding = response.GetEncoding()
			}
			if len(data)+len(response.GetChunk()) > StoredBytesMax {
				return NewError(ErrTooLarge, "PAYLOAD_TOO_LARGE", "the server sends more than %d bytes", StoredBytesMax)
			}
			data = append(data, response.GetChunk()...)
		}
	})
	if err != nil {
		return nil, "", err
	}
	return data, encoding, checkDigest(data, digest)
}

func checkDigest(data []byte, digest string) error {
	sum := sha256.Sum256(data)
	if hex.EncodeToString(sum[:]) == digest {
		return nil
	}
	return NewError(ErrInternal, "PAYLOAD_CORRUPT",
		"the bytes of the payload %s have another digest; they were changed on the way or in the store", digest)
}
