package core

import (
	"errors"
	"sync"
)

// The budget of retries that all calls of a client share.
const (
	retryTokens           = 10
	retryTokensPerSuccess = 0.1
)

// retryBudget bounds the retries of all calls together: a server that fails
// them gets at most a tenth more calls. A retry takes a token, a success
// returns a tenth. A retry after a delay that the server named, or after no
// answer at all, is free.
type retryBudget struct {
	mu    sync.Mutex
	spent float64
}

// permits takes the token of a retry; false if there is none.
func (b *retryBudget) permits(failure error) bool {
	var known *Error
	if errors.As(failure, &known) && known.RetryAfter > 0 {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.spent > retryTokens-1 {
		return false
	}
	b.spent++
	return true
}

// succeeded returns the share of a success.
func (b *retryBudget) succeeded() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spent = max(0, b.spent-retryTokensPerSuccess)
}
