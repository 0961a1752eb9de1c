package h3link

// Unmarked dials as nodes did before connection IDs had a mark.
func Unmarked() *Dialer { return &Dialer{plainIDs: true} }
