package state

import (
	"fmt"
	"log/slog"
	"sync/atomic"
)

// serverLog passes on what the embedded server has to say that a person may need.
// Its notices are for debugging here; its debug and trace output is off.
type serverLog struct {
	log   *slog.Logger
	fatal atomic.Pointer[string] // what made the server give up
}

const serverSays = "state server"

func (l *serverLog) Noticef(format string, v ...any) {
	l.log.Debug(serverSays, "text", fmt.Sprintf(format, v...))
}

func (l *serverLog) Warnf(format string, v ...any) {
	l.log.Warn(serverSays, "text", fmt.Sprintf(format, v...))
}

func (l *serverLog) Errorf(format string, v ...any) {
	l.log.Error(serverSays, "text", fmt.Sprintf(format, v...))
}

func (l *serverLog) Fatalf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.fatal.CompareAndSwap(nil, &text)
	l.log.Error(serverSays, "text", text)
}

func (l *serverLog) Debugf(string, ...any) {}
func (l *serverLog) Tracef(string, ...any) {}
