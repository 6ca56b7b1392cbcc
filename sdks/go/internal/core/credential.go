package core

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// TokenSource returns an access token. It is called again shortly before the
// token expires, and once if a server refuses it.
type TokenSource func(ctx context.Context) (string, error)

// Credential is sent as `authorization: Bearer …` with every call.
type Credential struct {
	// Source names the credential in errors.
	Source string
	renew  TokenSource

	mu         sync.Mutex
	text       string
	renewAt    time.Time
	rejectedAt time.Time
	// renewing is held by the one renewal that runs.
	renewing chan struct{}
}

// NewCredential returns the credential of options, or else of the
// environment; nil is none.
func NewCredential(apiKey, token string, source TokenSource, none bool) (*Credential, error) {
	given := 0
	for _, set := range []bool{apiKey != "", token != "", source != nil} {
		if set {
			given++
		}
	}
	switch {
	case given > 1:
		return nil, NewError(ErrInvalid, "CREDENTIAL_MALFORMED", "a client takes one credential, not %d", given)
	case apiKey != "":
		return fixedCredential(apiKey, "the API key")
	case token != "":
		return fixedCredential(token, "the token")
	case source != nil:
		return &Credential{Source: "the token source", renew: source, renewing: make(chan struct{}, 1)}, nil
	case none:
		return nil, nil
	}
	for _, variable := range []string{"FLOWMESH_TOKEN", "FLOWMESH_API_KEY"} {
		if text := os.Getenv(variable); strings.TrimSpace(text) != "" {
			return fixedCredential(text, variable)
		}
	}
	return nil, nil
}

func fixedCredential(text, source string) (*Credential, error) {
	text = strings.TrimSpace(text)
	if err := checkCredential(text, source); err != nil {
		return nil, err
	}
	return &Credential{Source: source, text: text}, nil
}

func checkCredential(text, source string) error {
	if len(text) > credentialBytesMax {
		return NewError(ErrInvalid, "CREDENTIAL_MALFORMED",
			"the credential of %s has more than %d bytes", source, credentialBytesMax)
	}
	for _, char := range []byte(text) {
		if char < 0x21 || char > 0x7e {
			text = ""
			break
		}
	}
	if text == "" {
		return NewError(ErrInvalid, "CREDENTIAL_MALFORMED",
			"the credential of %s is empty or holds spaces or line breaks", source)
	}
	return nil
}

// header returns the value of the metadata, after a renewal if one is due.
func (c *Credential) header(ctx context.Context) (string, error) {
	c.mu.Lock()
	text, due := c.text, c.renew != nil && time.Now().After(c.renewAt)
	c.mu.Unlock()
	if due {
		var err error
		if text, err = c.renewed(ctx, text); err != nil {
			return "", err
		}
	}
	return "Bearer " + text, nil
}

// rejected renews a token that a server refused; false if that cannot help.
func (c *Credential) rejected(ctx context.Context, used string) bool {
	c.mu.Lock()
	again := c.renew != nil && time.Since(c.rejectedAt) > tokenRejected
	if again {
		c.rejectedAt = time.Now()
	}
	changed := "Bearer "+c.text != used
	c.mu.Unlock()
	if c.renew == nil || changed || !again {
		return c.renew != nil && changed
	}
	text, err := c.renewed(ctx, strings.TrimPrefix(used, "Bearer "))
	return err == nil && "Bearer "+text != used
}

// renewed asks the source for a token, unless another call has just done so.
func (c *Credential) renewed(ctx context.Context, former string) (string, error) {
	select {
	case c.renewing <- struct{}{}:
		defer func() { <-c.renewing }()
	case <-ctx.Done():
		return "", contextError(ctx)
	}
	c.mu.Lock()
	text, current := c.text, c.text != former
	c.mu.Unlock()
	if current && text != "" {
		return text, nil
	}
	text, err := c.renew(ctx)
	if err != nil {
		return "", fmt.Errorf("flowmesh: the token source failed: %w", err)
	}
	text = strings.TrimSpace(text)
	if err := checkCredential(text, c.Source); err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text = text
	c.renewAt = expiry(text).Add(-tokenMargin)
	if earliest := time.Now().Add(tokenRenewalMin); c.renewAt.Before(earliest) {
		c.renewAt = earliest
	}
	return text, nil
}

// expiry reads `exp` of a JWT, unverified; far in the future if it has none.
func expiry(token string) time.Time {
	parts := strings.Split(token, ".")
	if len(parts) == 3 {
		if payload, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil {
			var claims struct{ Exp float64 }
			if json.Unmarshal(payload, &claims) == nil && claims.Exp > 0 {
				return time.Unix(int64(claims.Exp), 0)
			}
		}
	}
	return time.Now().Add(100 * 365 * 24 * time.Hour)
}
