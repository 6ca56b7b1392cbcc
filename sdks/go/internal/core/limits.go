// Package core holds the connections, calls, credentials and payloads that
// the client and the worker share.
package core

import "time"

// Limits and default times of the SDK.
const (
	// InlineBytesMax is the largest value inside a message.
	InlineBytesMax = 256 * 1024
	// StoredBytesMax is the largest value that is passed by reference.
	StoredBytesMax = 64 * 1024 * 1024
	chunkBytes     = 512 * 1024
	// messageBytesMax bounds a received message: descriptions of large
	// executions exceed the default of gRPC.
	messageBytesMax = 64 * 1024 * 1024

	// A server accepts 100 calls per connection; further connections are
	// opened before that.
	connectionCalls = 80
	connectionsMax  = 32

	// CallTimeout bounds one try of a call.
	CallTimeout = 10 * time.Second
	// ConnectTimeout bounds the wait for a server.
	ConnectTimeout = 5 * time.Second
	// RetryTotal bounds a call with all its retries.
	RetryTotal   = 30 * time.Second
	retryWaitMin = 100 * time.Millisecond
	// RetryWaitMax bounds the delay before a retry.
	RetryWaitMax = 2 * time.Second
	// Delay after a try that no server answered.
	unreachableRetry = 500 * time.Millisecond

	reconnectBudget = 60 * time.Second
	streamLasted    = 30 * time.Second
	streamRetryMin  = 100 * time.Millisecond
	streamRetryMax  = time.Second

	idleTimeout      = 60 * time.Second
	keepaliveTime    = 10 * time.Second
	keepaliveTimeout = 10 * time.Second

	// FrameBytesMax and FrameItemsMax bound one message of a stream.
	FrameBytesMax = 1024 * 1024
	FrameItemsMax = 1000

	tokenMargin        = 60 * time.Second
	tokenRenewalMin    = 5 * time.Second
	tokenRejected      = 10 * time.Second
	credentialBytesMax = 4096
)
