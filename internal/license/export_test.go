package license

// Kept is how many entries the desk has in memory.
func (d *Desk) Kept() int {
	d.cache.mu.Lock()
	defer d.cache.mu.Unlock()
	return len(d.cache.entries)
}
