package tracking

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// project is the record of a handshake code.
type project struct {
	Organisation string    `json:"organisation"`
	Name         string    `json:"name,omitempty"`
	Origins      []string  `json:"origins,omitempty"` // patterns; none: all that the items name
	Items        []string  `json:"items,omitempty"`   // none: all of the organisation
	Created      time.Time `json:"created"`
}

const (
	maxOrigins = 50
	maxItems   = 100
	maxName    = 80  // characters
	maxOrigin  = 300 // bytes
)

// check judges what people set of a project.
func (p project) check(c *catalog) error {
	if len(p.Origins) > maxOrigins || slices.ContainsFunc(p.Origins, func(o string) bool { return len(o) > maxOrigin }) {
		return problem.New(problem.BadRequest, "A project has %d origins at most.", maxOrigins).At("origins")
	}
	for _, o := range p.Origins {
		if _, err := license.ParsePattern(o); err != nil {
			return problem.New(problem.BadRequest, "%v.", err).At("origins")
		}
	}
	if len(p.Items) > maxItems {
		return problem.New(problem.BadRequest, "A project has %d licences at most.", maxItems).At("items")
	}
	for _, id := range p.Items {
		if e, err := c.get(id); err != nil || e.key.Organisation != p.Organisation {
			return problem.New(problem.BadRequest, "There is no licence %q of organisation %s.", id, p.Organisation).At("items")
		}
	}
	if utf8.RuneCountInString(p.Name) > maxName {
		return problem.New(problem.BadRequest, "It has %d characters at most.", maxName).At("name")
	}
	return nil
}

func (p project) describe(code string) api.Project {
	described := api.Project{
		HandshakeCode: code, Organisation: p.Organisation, Name: p.Name,
		Origins: p.Origins, Items: p.Items, Created: scan.At(p.Created),
	}
	if described.Origins == nil {
		described.Origins = []string{}
	}
	if described.Items == nil {
		described.Items = []string{}
	}
	return described
}

// CreateProject makes a handshake code; ItemExists if it is there.
func (s *Server) CreateProject(ctx context.Context, r api.ProjectRequest) (api.Project, error) {
	code := r.Organisation + "-" + r.Code
	organisation, _, err := license.ParseHandshake(code)
	if err != nil || organisation != r.Organisation {
		return api.Project{}, problem.New(problem.BadRequest, "A handshake code is the organisation, a hyphen and a code.").At("code")
	}
	p := project{Organisation: r.Organisation, Name: strings.TrimSpace(r.Name), Origins: r.Origins, Items: r.Items, Created: s.cfg.Clock().UTC()}
	return s.storeProject(ctx, code, func(stored *project, there bool) error {
		if there {
			return problem.New(problem.ItemExists, "Handshake code %s.", code).At("code")
		}
		*stored = p
		return nil
	})
}

// EditProject changes what the edit names; NotFound if there is no such project.
func (s *Server) EditProject(ctx context.Context, code string, edit api.ProjectEdit) (api.Project, error) {
	return s.storeProject(ctx, code, func(p *project, there bool) error {
		if !there {
			return noProject(code)
		}
		if name := strings.TrimSpace(edit.Name); name != "" {
			p.Name = name
		}
		if edit.Origins != nil {
			p.Origins = edit.Origins
		}
		if edit.Items != nil {
			p.Items = edit.Items
		}
		return nil
	})
}

func (s *Server) storeProject(ctx context.Context, code string, edit func(p *project, there bool) error) (api.Project, error) {
	c, err := s.catalog(ctx)
	if err != nil {
		return api.Project{}, err
	}
	var stored project
	_, err = s.changed(ctx, func() error {
		return change(ctx, s.cfg.Records, projectPrefix+code, time.Time{}, func(p *project, there bool) (bool, error) {
			err := edit(p, there)
			if err == nil {
				err = p.check(c)
			}
			stored = *p
			return err == nil, err
		})
	})
	if err != nil {
		return api.Project{}, err
	}
	return stored.describe(code), nil
}

// DeleteProject ends a handshake code. What was leased by it runs out by itself.
func (s *Server) DeleteProject(ctx context.Context, code string) error {
	if _, err := s.Project(ctx, code); err != nil {
		return err
	}
	_, err := s.changed(ctx, func() error { return s.cfg.Records.Delete(ctx, projectPrefix+code) })
	return err
}

// Project describes a handshake code; NotFound if there is none.
func (s *Server) Project(ctx context.Context, code string) (api.Project, error) {
	c, err := s.catalog(ctx)
	if err != nil {
		return api.Project{}, err
	}
	p, ok := c.projects[code]
	if !ok {
		return api.Project{}, noProject(code)
	}
	return p.describe(code), nil
}

// Projects lists a page of the handshake codes in their order. next is "" at the end.
func (s *Server) Projects(ctx context.Context, limit int, cursor string) (page []api.Project, next string, err error) {
	c, err := s.catalog(ctx)
	if err != nil {
		return nil, "", err
	}
	codes, next, err := pageOf(slices.Sorted(maps.Keys(c.projects)), func(code string) string { return code }, limit, cursor)
	page = make([]api.Project, 0, len(codes))
	for _, code := range codes {
		page = append(page, c.projects[code].describe(code))
	}
	return page, next, err
}

func noProject(code string) error {
	return problem.New(problem.NotFound, "There is no handshake code %q.", code)
}

// itemsOf are the items that a handshake code may use.
func (c *catalog) itemsOf(p project) []entry {
	var all []entry
	for _, e := range c.present {
		if e.key.Organisation == p.Organisation && (len(p.Items) == 0 || slices.Contains(p.Items, e.key.ID)) {
			all = append(all, e)
		}
	}
	return all
}
