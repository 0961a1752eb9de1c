package rtcroad

import (
	"log/slog"

	"github.com/pion/logging"
)

// loggers gives pion's packages loggers. What they warn of is a browser's doing, or a packet that
// was lost: it is for who looks into a trouble.
func loggers(log *slog.Logger) logging.LoggerFactory {
	return &logging.DefaultLoggerFactory{
		Writer:          slog.NewLogLogger(log.Handler(), slog.LevelDebug).Writer(),
		DefaultLogLevel: logging.LogLevelWarn, ScopeLevels: map[string]logging.LogLevel{},
	}
}
