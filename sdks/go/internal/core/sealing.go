package core

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"os"
	"regexp"
	"strings"

	commonv1 "flowmesh.dev/gen/flowmesh/api/common/v1"
	executionv1 "flowmesh.dev/gen/flowmesh/api/execution/v1"
)

// Codec is the last step before values leave a client or a worker, and the
// first after they arrive. Both methods take and return JSON.
type Codec interface {
	Encode(data []byte) ([]byte, error)
	Decode(data []byte) ([]byte, error)
}

const (
	sealed     = "$sealed"
	nonceBytes = 12
	keyBytes   = 32
)

var keyID = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// SealingKeys is a codec that seals values by AES-256-GCM. The first key
// seals, all of them open.
type SealingKeys struct {
	first *sealingKey
	keys  map[string]*sealingKey
	only  map[string]bool
}

type sealingKey struct {
	id     string
	nonces []byte
	aead   cipher.AEAD
}

// ReadSealingKeys reads a file with a line per key: its id, and the base64 of
// its 32 bytes. Members of the names of only are sealed, at any depth; without
// names, whole values are.
func ReadSealingKeys(path string, only ...string) (*SealingKeys, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, NewError(ErrInvalid, "SEALING_KEY_INVALID", "the keys cannot be read: %v", err).WithCause(err)
	}
	return NewSealingKeys(string(text), only...)
}

// NewSealingKeys takes the text of such a file.
func NewSealingKeys(text string, only ...string) (*SealingKeys, error) {
	found := &SealingKeys{keys: map[string]*sealingKey{}, only: map[string]bool{}}
	for _, name := range only {
		found.only[name] = true
	}
	for index, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		key, err := newSealingKey(words)
		if err != nil || found.keys[key.id] != nil {
			return nil, NewError(ErrInvalid, "SEALING_KEY_INVALID",
				"line %d of the keys is not a new key id and base64 of %d bytes", index+1, keyBytes)
		}
		found.keys[key.id] = key
		if found.first == nil {
			found.first = key
		}
	}
	if found.first == nil {
		return nil, NewError(ErrInvalid, "SEALING_KEY_INVALID", "there is no key to seal with")
	}
	return found, nil
}

func newSealingKey(words []string) (*sealingKey, error) {
	if len(words) != 2 || !keyID.MatchString(words[0]) {
		return nil, ErrInvalid
	}
	key, err := base64.StdEncoding.DecodeString(words[1])
	if err != nil || len(key) != keyBytes {
		return nil, ErrInvalid
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	return &sealingKey{words[0], digestOf(key, []byte("flowmesh sealed nonce")), aead}, err
}

func digestOf(key, data []byte) []byte {
	digest := hmac.New(sha256.New, key)
	digest.Write(data)
	return digest.Sum(nil)
}

// Encode seals a value, or its members of the given names.
func (k *SealingKeys) Encode(data []byte) ([]byte, error) {
	if len(k.only) == 0 {
		return Encode(k.first.seal(data))
	}
	return changed(data, func(name string, value any) (any, bool, error) {
		if _, _, already := partsOf(value); already || !k.only[name] {
			return value, false, nil
		}
		text, err := Encode(value)
		return k.first.seal(text), true, err
	})
}

// Decode opens the sealed values in a value, at any depth.
func (k *SealingKeys) Decode(data []byte) ([]byte, error) {
	if !bytes.Contains(data, []byte(`"`+sealed+`"`)) {
		return data, nil
	}
	return changed(data, k.opened)
}

func (k *SealingKeys) opened(_ string, value any) (any, bool, error) {
	id, text, found := partsOf(value)
	if !found {
		return value, false, nil
	}
	key := k.keys[id]
	if key == nil {
		return nil, true, NewError(ErrInvalid, "SEALED_UNREADABLE",
			"the value is sealed by the key %q, which is not among the keys here", id)
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err == nil && len(data) >= nonceBytes {
		data, err = key.aead.Open(nil, data[:nonceBytes], data[nonceBytes:], []byte(id))
	} else {
		err = ErrInvalid
	}
	if err != nil {
		return nil, true, NewError(ErrInvalid, "SEALED_UNREADABLE",
			"the value sealed by the key %q was changed, or the key is another", id)
	}
	var inner any
	if err := Decode(data, &inner); err != nil {
		return nil, true, err
	}
	// A sealed value may hold sealed members.
	inner, err = mapped("", inner, k.opened)
	return inner, true, err
}

func (k *sealingKey) seal(data []byte) any {
	nonce := digestOf(k.nonces, data)[:nonceBytes]
	text := base64.StdEncoding.EncodeToString(k.aead.Seal(nonce, nonce, data, []byte(k.id)))
	return map[string]any{sealed: map[string]any{"kid": k.id, "data": text}}
}

// partsOf returns the key id and the data of a sealed value.
func partsOf(value any) (id, data string, found bool) {
	outer, _ := value.(map[string]any)
	inner, _ := outer[sealed].(map[string]any)
	id, isText := inner["kid"].(string)
	data, isData := inner["data"].(string)
	return id, data, isText && isData && len(outer) == 1
}

type change func(name string, value any) (changed any, done bool, err error)

// changed returns JSON in which values are replaced.
func changed(data []byte, by change) ([]byte, error) {
	var value any
	if err := Decode(data, &value); err != nil {
		return nil, err
	}
	value, err := mapped("", value, by)
	if err != nil {
		return nil, err
	}
	return Encode(value)
}

func mapped(name string, value any, by change) (any, error) {
	value, done, err := by(name, value)
	if done || err != nil {
		return value, err
	}
	switch inner := value.(type) {
	case map[string]any:
		for key, each := range inner {
			if inner[key], err = mapped(key, each, by); err != nil {
				return nil, err
			}
		}
	case []any:
		for index, each := range inner {
			if inner[index], err = mapped("", each, by); err != nil {
				return nil, err
			}
		}
	}
	return value, nil
}

// Encoded returns the JSON of a value as it leaves this process.
func (c *Caller) Encoded(value any) (json.RawMessage, error) {
	data, err := Encode(value)
	if err != nil || c.Codec == nil {
		return data, err
	}
	return c.Codec.Encode(data)
}

// Fetch returns the JSON of a stored value.
func (c *Caller) Fetch(ctx context.Context, digest string) ([]byte, error) {
	data, encoding, err := c.Get(ctx, digest)
	if err != nil {
		return nil, err
	}
	return c.decoded(AsJSON(data, encoding))
}

// Open opens the inline values of an execution; those that cannot be opened
// stay as they are.
func (c *Caller) Open(execution *executionv1.Execution) {
	if c.Codec == nil {
		return
	}
	payloads := []*commonv1.Payload{execution.GetInput(), execution.GetOutput()}
	for _, node := range execution.GetNodes() {
		payloads = append(payloads, node.GetOutput())
	}
	for _, variable := range execution.GetVariables() {
		payloads = append(payloads, variable)
	}
	for _, payload := range payloads {
		if data, err := c.decoded(payload.GetData()); payload != nil && err == nil {
			payload.Data = data
		}
	}
}

func (c *Caller) decoded(data []byte) ([]byte, error) {
	if c.Codec == nil {
		return data, nil
	}
	return c.Codec.Decode(data)
}
