package setup

import (
	"context"
	"strings"

	"github.com/platen-scan/platen/internal/config"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// status is everything that the page shows.
func (s *Setup) status(ctx context.Context) api.Setup {
	state := s.State(ctx)
	file, fault := s.read()
	page := api.Setup{
		Role: s.Role, Name: state.Name, Version: state.Version, Started: scan.At(state.Started), State: api.SetupStateStarting,
		Scanners: state.Scanners, Queue: state.Queue, Nodes: state.Nodes, Disk: state.Disk, Fault: state.Fault,
		Paths: append([]api.SetupPath{}, state.Paths...), Ports: append([]api.SetupPort{}, state.Ports...),
		Settings: []api.SetupSetting{}, Interfaces: s.Interfaces(), Firewall: s.firewall(file.Config, state.Shared),
		Certificates: append([]api.Certificate{}, s.Certificates.List()...), Gateway: state.Gateway, Shared: state.Shared, Licence: state.Licence,
	}
	if state.Running {
		page.State = api.SetupStateRunning
	}
	if fault != nil {
		page.Fault = "platen.ini has faults, what ran before goes on: " + strings.ReplaceAll(fault.Error(), "\n", "; ")
	}
	page.Log.Level = api.SetupLogLevel(strings.ToLower(s.Level.Level().String()))
	if until := s.Level.held(); !until.IsZero() {
		page.Log.Until = scan.At(until)
	}
	for _, setting := range file.Settings() {
		if s.shows(setting.KeyDoc) {
			page.Settings = append(page.Settings, api.SetupSetting{
				Key: setting.Name(), Value: setting.Value, Default: setting.Default, Unit: setting.Unit, Meaning: setting.Meaning,
				Source: api.SetupSettingSource(setting.Source), Restart: !setting.Hot, Opens: setting.Opens,
			})
		}
	}
	page.Warnings = append(s.warnings(file.Config, page.Certificates), state.Warnings...)
	return page
}

// warnings are what an administrator should not overlook.
func (s *Setup) warnings(c *config.Config, certificates []api.Certificate) []api.SetupWarning {
	var list []api.SetupWarning
	warn := func(code api.SetupWarningCode, text string) {
		list = append(list, api.SetupWarning{Code: code, Text: text})
	}
	origins, plain := c.Node.AllowOrigin, c.Node.AllowPlainHTTP && c.Node.External
	switch s.Role {
	case api.SetupRoleGateway:
		origins, plain = c.Gateway.AllowOrigin, c.Gateway.AllowPlainHTTP
	case api.SetupRoleTracking:
		origins, plain = config.Origins{}, false // it has no scanners
	}
	if origins.Any {
		warn(api.SetupWarningCodeAnyOrigin, "Every web site may use the scanners: Access-Control-Allow-Origin is *. Name the sites that need it instead.")
	}
	if plain {
		warn(api.SetupWarningCodePlainHttp, "Devices may sign in without encryption: others on the network can read along.")
	}
	for _, one := range certificates {
		name := "The certificate " + string(one.Name) + " (" + strings.Join(one.Hosts, ", ") + ")"
		switch one.State {
		case api.CertificateStateSoon, api.CertificateStateUrgent:
			warn(api.SetupWarningCodeCertificate, name+" ends on "+one.NotAfter.Format("2006-01-02")+".")
		case api.CertificateStateExpired:
			warn(api.SetupWarningCodeCertificate, name+" has ended.")
		case api.CertificateStateFailed:
			warn(api.SetupWarningCodeCertificate, name+" cannot be had: "+one.Problem)
		}
	}
	if err := s.Audit.Ready(); err != nil {
		warn(api.SetupWarningCodeAudit, "The audit log cannot be written, nothing new is begun: "+err.Error()+".")
	}
	return list
}
