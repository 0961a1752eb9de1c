package tracking

import "context"

// Whose says whose an item is and what it sells, also of items that were taken away: what
// was used of them stays in the ledger. Both are "" for one that never was here.
func (s *Server) Whose(ctx context.Context) (func(item string) (organisation, kind string), error) {
	c, err := s.catalog(ctx)
	if err != nil {
		return nil, err
	}
	return func(item string) (organisation, kind string) {
		k := c.items[item].key
		return k.Organisation, string(k.Kind)
	}, nil
}
