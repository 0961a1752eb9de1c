package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kong"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

type jobsCmd struct {
	remote
	List   jobsListCmd `cmd:"" default:"withargs" help:"List scans, newest first (the default)."`
	Cancel jobCmd      `cmd:"" help:"Stop a scan; the page under way is discarded."`
	Resume jobCmd      `cmd:"" help:"Go on after a jam, an empty feeder or a restart."`
	Finish jobCmd      `cmd:"" help:"End a scan after the page under way."`
	Delete jobCmd      `cmd:"" help:"Forget an ended scan and wipe its pages."`
	Pages  jobPagesCmd `cmd:"" help:"List the pages of a scan."`
}

type jobsListCmd struct {
	JSON bool `help:"Print JSON."`
	All  bool `help:"Include those that have ended." default:"true" negatable:""`
}

func (cmd *jobsListCmd) Run(s *session, parent *jobsCmd) error {
	c, closer, err := s.connect(parent.Gateway)
	if err != nil {
		return err
	}
	defer closer()
	jobs := []scan.Job{}
	err = everyPage(func(limit *int, cursor *string) (string, error) {
		page, err := api.Decode[api.JobList](c.ListJobs(s.ctx, &api.ListJobsParams{Limit: limit, Cursor: cursor}))
		for _, j := range page.Items {
			if cmd.All || !j.State.Terminal() {
				jobs = append(jobs, j)
			}
		}
		return page.Next, err
	})
	if err != nil {
		return err
	}
	if cmd.JSON {
		return printJSON(s.stdout, jobs)
	}
	tw := tabwriter.NewWriter(s.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "CREATED\tSTATE\tPAGES\tNAME\tID")
	for _, j := range jobs {
		state := string(j.State)
		for _, r := range j.Reasons {
			state += ", " + string(r)
		}
		fmt.Fprintf(tw, "%s\t%s\t%d\t%s\t%s\n", j.Created.Local().Format(time.DateTime), state, j.Pages, j.Name, j.ID)
	}
	return tw.Flush()
}

type jobCmd struct {
	Job string `arg:"" help:"The job's ID."`
}

func (cmd *jobCmd) Run(s *session, parent *jobsCmd, k *kong.Context) error {
	c, closer, err := s.connect(parent.Gateway)
	if err != nil {
		return err
	}
	defer closer()
	switch verb := k.Selected().Name; verb {
	case "cancel":
		return api.Done(c.CancelJob(s.ctx, cmd.Job))
	case "resume":
		return api.Done(c.ResumeJob(s.ctx, cmd.Job))
	case "finish":
		return api.Done(c.FinishJob(s.ctx, cmd.Job))
	case "delete":
		return api.Done(c.DeleteJob(s.ctx, cmd.Job))
	default:
		return fmt.Errorf("%w: jobs %s", errUsage, verb)
	}
}

type jobPagesCmd struct {
	Job  string `arg:"" help:"The job's ID."`
	JSON bool   `help:"Print JSON."`
}

func (cmd *jobPagesCmd) Run(s *session, parent *jobsCmd) error {
	c, closer, err := s.connect(parent.Gateway)
	if err != nil {
		return err
	}
	defer closer()
	pages := []scan.Page{}
	err = everyPage(func(limit *int, cursor *string) (string, error) {
		list, err := api.Decode[api.PageList](c.ListPages(s.ctx, cmd.Job, &api.ListPagesParams{Limit: limit, Cursor: cursor}))
		pages = append(pages, list.Items...)
		return list.Next, err
	})
	if err != nil {
		return err
	}
	if cmd.JSON {
		return printJSON(s.stdout, pages)
	}
	tw := tabwriter.NewWriter(s.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "PAGE\tSTATE\tFORMAT\tPIXELS\tDPI\tBYTES\tSHA-256")
	for _, p := range pages {
		fmt.Fprintf(tw, "%d\t%s\t%s\t%d × %d\t%d\t%d\t%s\n", p.N, p.State, p.Format, p.Width, p.Height, p.Resolution, p.Bytes, p.Digest)
	}
	return tw.Flush()
}
