package turnserver

import (
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/pion/logging"
)

const (
	// firstWord is how long a TCP client may be silent at first.
	firstWord = 10 * time.Second
	// silence is how long afterwards. A client in use refreshes what it holds every five
	// minutes.
	silence = 6 * time.Minute
	// stuck is how long a client may take none of what it is sent.
	stuck = 10 * time.Second
)

// listener accepts TCP clients.
type listener struct {
	net.Listener
	s *Server
}

// Accept waits for a client that there is room for.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		t := &tcpConn{Conn: c, s: l.s}
		l.s.mu.Lock()
		room := !l.s.ended && len(l.s.conns) < l.s.config.Limits.Conns
		if room {
			l.s.conns[t] = true
			l.s.running.Add(1)
		}
		l.s.mu.Unlock()
		if room {
			return t, nil
		}
		c.Close()
	}
}

// tcpConn is a client's connection. pion closes it after reading has failed.
type tcpConn struct {
	net.Conn
	s     *Server
	spoke bool // only its reader looks at it
	once  sync.Once
}

func (c *tcpConn) Read(b []byte) (int, error) {
	limit := firstWord
	if c.spoke {
		limit = silence
	}
	c.SetReadDeadline(time.Now().Add(limit))
	n, err := c.Conn.Read(b)
	c.spoke = c.spoke || n > 0
	return n, err
}

func (c *tcpConn) Write(b []byte) (int, error) {
	c.SetWriteDeadline(time.Now().Add(stuck))
	n, err := c.Conn.Write(b)
	if err != nil {
		c.Conn.Close() // half a packet is the end of what can be understood
	}
	return n, err
}

func (c *tcpConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.s.mu.Lock()
		defer c.s.mu.Unlock()
		delete(c.s.conns, c)
		c.s.running.Done()
	})
	return err
}

// watched is the UDP port; end is called when it can be read no more.
type watched struct {
	net.PacketConn
	end func()
}

func (w *watched) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := w.PacketConn.ReadFrom(b)
	if err != nil {
		w.end()
	}
	return n, from, err
}

// loggers gives pion's packages loggers. What they warn of is a client's doing.
func loggers(log *slog.Logger) logging.LoggerFactory {
	return &logging.DefaultLoggerFactory{
		Writer:          slog.NewLogLogger(log.Handler(), slog.LevelDebug).Writer(),
		DefaultLogLevel: logging.LogLevelWarn, ScopeLevels: map[string]logging.LogLevel{},
	}
}
