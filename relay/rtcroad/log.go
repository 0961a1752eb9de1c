package rtcroad

import (
	"fmt"
	"log/slog"

	"github.com/pion/logging"
)

// loggers gives pion's packages loggers. What they warn of is a browser's doing, or a
// packet that was lost: it is for who looks into a trouble. The rest is not kept.
type loggers struct{ log *slog.Logger }

func (l loggers) NewLogger(scope string) logging.LeveledLogger {
	return logger{l.log.With("scope", scope)}
}

type logger struct{ log *slog.Logger }

func (logger) Trace(string)          {}
func (logger) Tracef(string, ...any) {}
func (logger) Debug(string)          {}
func (logger) Debugf(string, ...any) {}
func (logger) Info(string)           {}
func (logger) Infof(string, ...any)  {}

func (l logger) Warn(text string)               { l.log.Debug("webrtc", "text", text) }
func (l logger) Warnf(format string, a ...any)  { l.Warn(fmt.Sprintf(format, a...)) }
func (l logger) Error(text string)              { l.Warn(text) }
func (l logger) Errorf(format string, a ...any) { l.Warnf(format, a...) }
