package license

// Asks reports whether licences are asked for at this end: it trusts a vendor.
func (d *Desk) Asks() bool { return len(d.cfg.Vendors()) > 0 }
