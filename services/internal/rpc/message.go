package rpc

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
	"github.com/cagnotte/cagnotte/services/internal/errs"
)

const (
	// streamWindow is what a caller can send on a call before somebody reads: HTTP/2's smallest window, and one that
	// does not grow.
	streamWindow = 64 * kilobyte
	// messageTimeout is how long a message may take to arrive.
	messageTimeout = 10 * time.Second
)

var (
	errTooLarge   = errs.New(errorsv1.ErrorReason_MESSAGE_TOO_LARGE, "The message is larger than this call takes.")
	errTooSlow    = errs.New(errorsv1.ErrorReason_MESSAGE_TOO_SLOW, "The message did not arrive in time.")
	errCompressed = errs.New(errorsv1.ErrorReason_COMPRESSED, "Messages must be sent without compression.")
)

// messageReader is how grpc's own stream reads. The public interface of grpc has one largest size for all methods of a
// server, so a caller without a key could make us hold as much as an import does. Here the size, which comes first, is
// compared with the method's. TestAMessageIsReadUpToItsMethodsSize fails when grpc changes this interface.
type messageReader interface {
	ReadMessageHeader(header []byte) error
	Read(n int) (mem.BufferSlice, error)
}

// readMessage reads the next message of a call from the network into m. It refuses one that is too large before it reads
// it. The bytes are taken from the budget while it reads. io.EOF: there is no message.
func (c *chain) readMessage(ctx context.Context, most int, m any) error {
	stream, ok := grpc.ServerTransportStreamFromContext(ctx).(messageReader)
	if !ok {
		return errs.Internal(errors.New("the stream of this version of grpc cannot be read"))
	}
	msg, ok := m.(proto.Message)
	if !ok {
		return errs.Internal(fmt.Errorf("the message is a %T", m))
	}
	// One byte that tells of compression, and the size:
	// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#requests
	var header [5]byte
	if err := stream.ReadMessageHeader(header[:]); err != nil {
		return readError(err)
	}
	if header[0] != 0 {
		return errCompressed
	}
	size := int64(binary.BigEndian.Uint32(header[1:]))
	if size > int64(most) {
		return errTooLarge
	}
	release, ok := c.bodies.Take(ctx, CallerFrom(ctx).Network.String(), size)
	if !ok {
		return errBusy
	}
	defer release()
	data, err := stream.Read(int(size))
	if err != nil {
		return readError(err)
	}
	defer data.Free()
	if err := proto.Unmarshal(data.Materialize(), msg); err != nil {
		return errs.New(errorsv1.ErrorReason_UNREADABLE, "The message cannot be read.")
	}
	return nil
}

func readError(err error) error {
	if errors.Is(err, io.EOF) {
		return err
	}
	e := errs.New(errorsv1.ErrorReason_CANCELED, "The message broke off.")
	e.Cause = err
	return e
}

// inTime is readMessage within messageTimeout. A read that is not over by then ends with the call.
func (c *chain) inTime(ctx context.Context, most int, m any) error {
	read := make(chan error, 1)
	go func() { read <- c.readMessage(ctx, most, m) }()
	timer := time.NewTimer(messageTimeout)
	defer timer.Stop()
	select {
	case err := <-read:
		return err
	case <-timer.C:
		return errTooSlow
	case <-ctx.Done():
		return ctx.Err()
	}
}
