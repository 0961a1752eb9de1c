package problem

import "net/http"

// Code names a kind of problem for programs.
type Code string

// The codes. Append only.
const (
	Internal         Code = "internal"
	Unavailable      Code = "unavailable"
	BadRequest       Code = "bad-request"
	InvalidJSON      Code = "invalid-json"
	UnknownField     Code = "unknown-field"
	BodyTooLarge     Code = "body-too-large"
	MediaTypeWrong   Code = "media-type-wrong"
	NotFound         Code = "not-found"
	MethodNotAllowed Code = "method-not-allowed"
	TooManyRequests  Code = "too-many-requests"
	BadID            Code = "bad-id"

	HostNotAllowed    Code = "host-not-allowed"
	OriginNotAllowed  Code = "origin-not-allowed"
	CrossSite         Code = "cross-site"
	SessionRequired   Code = "session-required"
	SessionExpired    Code = "session-expired"
	PermissionDenied  Code = "permission-denied"
	PlainHTTPRefused  Code = "plain-http-refused"
	PairingWrong      Code = "pairing-wrong"
	PairingUsed       Code = "pairing-used"
	PairingExpired    Code = "pairing-expired"
	PairingTooMany    Code = "pairing-too-many-tries"
	GrantRequired     Code = "grant-required"
	GrantInvalid      Code = "grant-invalid"
	GrantExpired      Code = "grant-expired"
	JoinTokenInvalid  Code = "join-token-invalid"
	JoinTokenUsed     Code = "join-token-used"
	JoinTokenExpired  Code = "join-token-expired"
	NodeUnknown       Code = "node-unknown"
	NodeRevoked       Code = "node-revoked"
	NodePrefixTaken   Code = "node-prefix-taken"
	VersionNotSpoken  Code = "version-not-spoken"
	GatewayKeyChanged Code = "gateway-key-changed"

	SettingsUnsupported   Code = "settings-unsupported"
	IdempotencyKeyMissing Code = "idempotency-key-missing"
	IdempotencyKeyReused  Code = "idempotency-key-reused"
	IdempotencyInProgress Code = "idempotency-in-progress"
	JobWrongState         Code = "job-wrong-state"
	QueueFull             Code = "queue-full"
	ScannerOffline        Code = "scanner-offline"
	DriverFailed          Code = "driver-failed"
	DriverMissing         Code = "driver-missing"
	NodeOffline           Code = "node-offline"
	NodeNeeded            Code = "node-needed"
	DiskLow               Code = "disk-low"
	PageGone              Code = "page-gone"
	PageLost              Code = "page-lost"
	PageNotReady          Code = "page-not-ready"
	DigestMismatch        Code = "digest-mismatch"
	FormatUnsupported     Code = "format-unsupported"
	RangeNotSatisfiable   Code = "range-not-satisfiable"
	RevisionConflict      Code = "revision-conflict"
	PagesElsewhere        Code = "pages-elsewhere"
	EventsGone            Code = "events-gone"

	SignInFailed       Code = "sign-in-failed"
	FlowExpired        Code = "flow-expired"
	ProviderFailed     Code = "provider-failed"
	UserLocked         Code = "user-locked"
	GrantPending       Code = "device-grant-pending"
	GrantSlowDown      Code = "device-grant-slow-down"
	GrantDenied        Code = "device-grant-denied"
	GrantCodeWrong     Code = "device-grant-wrong"
	PasskeyNotPossible Code = "passkey-not-possible"
	OriginFixed        Code = "origin-fixed"
	TicketInvalid      Code = "ticket-invalid"
	LastAdministrator  Code = "last-administrator"
	HeldForOwner       Code = "held-for-owner"
	ReleaseWrong       Code = "release-wrong"
	NodeWaiting        Code = "node-waiting"
	NodeDraining       Code = "node-draining"
	NodeQuarantined    Code = "node-quarantined"
	CheckWrong         Code = "check-wrong"
	RotationPending    Code = "rotation-pending"
	AuditFailed        Code = "audit-failed"
	SetupOff           Code = "setup-off"
	SettingInvalid     Code = "setting-invalid"
	SettingFixed       Code = "setting-fixed"
	ConfirmationNeeded Code = "confirmation-needed"
	ChangeUnknown      Code = "change-unknown"
	ChangeOnTrial      Code = "change-on-trial"
	CertificateInvalid Code = "certificate-invalid"

	EncryptionRequired Code = "encryption-required"
	SealedForOthers    Code = "sealed-for-others"
	RoadNotOpen        Code = "road-not-open"

	LicenseMissing     Code = "license-missing"
	LicenseInvalid     Code = "license-invalid"
	LicenseExpired     Code = "license-expired"
	LicenseNotYetValid Code = "license-not-yet-valid"
	LicenseElsewhere   Code = "license-elsewhere"
	LicenseOrigin      Code = "license-origin"
	LicenseBoth        Code = "license-both"
	LicenseRevoked     Code = "license-revoked"
	LicenseSeats       Code = "license-seats-taken"
	LicensePages       Code = "license-pages-used"
	LicenseModule      Code = "license-module"
	LicenseClock       Code = "license-clock"
	HandshakeUnknown   Code = "handshake-unknown"
	TrackingOffline    Code = "tracking-offline"
	ReceiptMissing     Code = "receipt-missing"
	ReceiptInvalid     Code = "receipt-invalid"
	ReceiptGap         Code = "receipt-gap"
	ItemExists         Code = "item-exists"
	ModuleMissing      Code = "module-missing"
	ModuleFailed       Code = "module-failed"
	FileDamaged        Code = "file-damaged"
	StorageFailed      Code = "storage-failed"
)

type entry struct {
	status    int
	title     string // what happened
	next      string // what to do
	retryable bool   // the same request may succeed later
}

var table = map[Code]entry{
	Internal:         {http.StatusInternalServerError, "Something went wrong inside Platen.", "Try again. If it stays, look at the log of the computer that answered.", true},
	Unavailable:      {http.StatusServiceUnavailable, "The service is starting, stopping or overloaded.", "Try again in a moment.", true},
	BadRequest:       {http.StatusBadRequest, "The request is malformed.", "See the detail and the API guide.", false},
	InvalidJSON:      {http.StatusBadRequest, "The request body is not the JSON that is expected here.", "See the detail and the API guide.", false},
	UnknownField:     {http.StatusBadRequest, "The request has a member that is not known here.", "Remove it, or correct its spelling.", false},
	BodyTooLarge:     {http.StatusRequestEntityTooLarge, "The request body is too large.", "Send less.", false},
	MediaTypeWrong:   {http.StatusUnsupportedMediaType, "The request body has the wrong Content-Type.", "Send application/json.", false},
	NotFound:         {http.StatusNotFound, "There is no such thing here.", "It may have been deleted. Go back to the list.", false},
	MethodNotAllowed: {http.StatusMethodNotAllowed, "This resource does not have that method.", "See the Allow header.", false},
	TooManyRequests:  {http.StatusTooManyRequests, "Too many requests in a short time.", "Wait a moment and try again.", true},
	BadID:            {http.StatusBadRequest, "That is not an identifier.", "Take identifiers from the API's answers, unchanged.", false},

	HostNotAllowed:    {http.StatusMisdirectedRequest, "This service is not known under that host name.", "Open it by an address that it printed at start.", false},
	OriginNotAllowed:  {http.StatusForbidden, "This web page may not use this scanner service.", "Ask the person who runs the service to allow the page's origin.", false},
	CrossSite:         {http.StatusForbidden, "The request came from another web site.", "Open the service's own page.", false},
	SessionRequired:   {http.StatusUnauthorized, "Nobody is signed in.", "Scan the pairing code of the scanner or gateway.", false},
	SessionExpired:    {http.StatusUnauthorized, "The sign-in has ended.", "Scan the pairing code again.", false},
	PermissionDenied:  {http.StatusForbidden, "Your role does not allow this.", "Ask an administrator.", false},
	PlainHTTPRefused:  {http.StatusForbidden, "This service does not sign anybody in over plain HTTP.", "Use the https address.", false},
	PairingWrong:      {http.StatusForbidden, "This code is not right.", "Check the symbols and try again.", false},
	PairingUsed:       {http.StatusForbidden, "This code was already used. Each code works once.", "Ask for a new code at the scanner.", false},
	PairingExpired:    {http.StatusForbidden, "This code ran out.", "Ask for a new code at the scanner.", false},
	PairingTooMany:    {http.StatusTooManyRequests, "Too many wrong tries. The codes on show are void.", "Ask for a new code at the scanner.", false},
	GrantRequired:     {http.StatusUnauthorized, "The gateway sent no grant with its request.", "Update the gateway.", false},
	GrantInvalid:      {http.StatusForbidden, "The gateway's grant does not cover this request.", "See the node's log.", false},
	GrantExpired:      {http.StatusForbidden, "The gateway's grant has run out.", "Try again.", true},
	JoinTokenInvalid:  {http.StatusForbidden, "This join token is not right.", "Copy the whole token from the gateway.", false},
	JoinTokenUsed:     {http.StatusForbidden, "This join token was already used. Each token works once.", "Make a new one at the gateway: platen gateway token.", false},
	JoinTokenExpired:  {http.StatusForbidden, "This join token ran out.", "Make a new one at the gateway: platen gateway token.", false},
	NodeUnknown:       {http.StatusForbidden, "The gateway does not know this node.", "Join it: platen node --join TOKEN.", false},
	NodeRevoked:       {http.StatusForbidden, "The gateway has revoked this node.", "Ask the gateway's administrator.", false},
	NodePrefixTaken:   {http.StatusConflict, "Another node already uses this node's routing prefix.", "Move the node's keys folder away and join it with a new identity.", false},
	VersionNotSpoken:  {http.StatusConflict, "The two ends speak different versions.", "Update the older one.", false},
	GatewayKeyChanged: {http.StatusForbidden, "The gateway has another key than the one this node joined.", "If the gateway was set up anew, join it again.", false},

	SettingsUnsupported:   {http.StatusUnprocessableEntity, "The scanner cannot scan with these settings.", "Change the setting that the detail names.", false},
	IdempotencyKeyMissing: {http.StatusBadRequest, "The request needs an Idempotency-Key header.", "Send a new random key for each intent, the same for each retry.", false},
	IdempotencyKeyReused:  {http.StatusUnprocessableEntity, "This Idempotency-Key came before, with another request.", "Send a new key.", false},
	IdempotencyInProgress: {http.StatusConflict, "The first request with this Idempotency-Key is still being worked on.", "Try again in a moment.", true},
	JobWrongState:         {http.StatusConflict, "The scan is in a state where this cannot be done.", "Look at its present state.", false},
	QueueFull:             {http.StatusServiceUnavailable, "Too many scans are waiting for this scanner.", "Try again when some are done, or use another scanner.", true},
	ScannerOffline:        {http.StatusServiceUnavailable, "The scanner does not answer.", "Check that it is switched on and connected.", true},
	DriverFailed:          {http.StatusServiceUnavailable, "The scanner's driver stopped working and was restarted.", "Try again.", true},
	DriverMissing:         {http.StatusServiceUnavailable, "The driver for this scanner is not installed.", "See the detail.", false},
	NodeOffline:           {http.StatusServiceUnavailable, "The computer with this scanner is not connected.", "Check that it is switched on and on the network. Its pages are safe there.", true},
	NodeNeeded:            {http.StatusUnprocessableEntity, "A gateway must be told which node this is for.", "Send the member node.", false},
	DiskLow:               {http.StatusInsufficientStorage, "The computer with the scanner has no room for another page.", "Save and delete scans, or free disk space.", true},
	PageGone:              {http.StatusGone, "This page was deleted after it was delivered or its time was up.", "Scan it again.", false},
	PageLost:              {http.StatusGone, "The stored bytes of this page are damaged or missing.", "Scan it again. The log says more.", false},
	PageNotReady:          {http.StatusConflict, "This page is still being scanned and cannot be had in this form yet.", "Wait for its page-committed event.", true},
	DigestMismatch:        {http.StatusConflict, "The digest is not that of the stored page.", "Fetch the page again.", false},
	FormatUnsupported:     {http.StatusNotAcceptable, "This cannot be had in that format.", "See the detail for those that are possible.", false},
	RangeNotSatisfiable:   {http.StatusRequestedRangeNotSatisfiable, "The range begins after the end.", "See the Content-Range header.", false},
	RevisionConflict:      {http.StatusConflict, "The document was changed in the meantime.", "Read it again and repeat the edit.", false},
	PagesElsewhere:        {http.StatusUnprocessableEntity, "A document can only hold pages of one node.", "Make a document on each node.", false},
	EventsGone:            {http.StatusGone, "The events after that ID are no longer kept.", "Read the resource again and follow from there.", false},

	SignInFailed:       {http.StatusForbidden, "The sign-in did not succeed.", "Begin again. The detail says more.", false},
	FlowExpired:        {http.StatusForbidden, "This sign-in took too long or was finished before.", "Begin again on the sign-in page.", false},
	ProviderFailed:     {http.StatusBadGateway, "The identity provider did not answer as it should.", "Try again. If it stays, ask the administrator to look at the log.", true},
	UserLocked:         {http.StatusForbidden, "This user is locked out.", "Ask an administrator.", false},
	GrantPending:       {http.StatusForbidden, "Nobody has allowed this program yet.", "Ask again after the interval.", true},
	GrantSlowDown:      {http.StatusTooManyRequests, "The program asks too often.", "Add five seconds to the interval.", true},
	GrantDenied:        {http.StatusForbidden, "A person refused this program, or its code ran out.", "Ask for a new code.", false},
	GrantCodeWrong:     {http.StatusNotFound, "No program waits with this code.", "Check the symbols, or ask for a new code.", false},
	PasskeyNotPossible: {http.StatusConflict, "There are no passkeys at this address.", "Open Platen by a name over HTTPS, or by localhost.", false},
	OriginFixed:        {http.StatusConflict, "This origin comes from the configuration or from a licence.", "Change it there.", false},
	TicketInvalid:      {http.StatusForbidden, "This link was used, ran out or is for something else.", "Ask for a new link.", false},
	LastAdministrator:  {http.StatusConflict, "This is the last administrator.", "Make another user an administrator first.", false},
	HeldForOwner:       {http.StatusConflict, "The scan waits for its owner at the scanner.", "Scan the code at the scanner, or type the scan's code there.", false},
	ReleaseWrong:       {http.StatusForbidden, "No scan waits for this code here.", "Check the digits, or scan the code at this scanner.", false},
	NodeWaiting:        {http.StatusForbidden, "The node waits for approval.", "Compare the symbols and approve it at the gateway.", true},
	NodeDraining:       {http.StatusServiceUnavailable, "The computer with this scanner takes no new scans.", "Use another scanner, or try again later.", true},
	NodeQuarantined:    {http.StatusForbidden, "The node's key was used by two computers.", "Find out which is the right one, then reinstate the node at the gateway or revoke it.", false},
	CheckWrong:         {http.StatusConflict, "These are not the symbols that this end shows.", "Compare both screens. If they differ, somebody may be between them: do not approve.", false},
	RotationPending:    {http.StatusConflict, "A change of key is under way.", "Wait for it, or drop it first.", false},
	AuditFailed:        {http.StatusInsufficientStorage, "The audit log cannot be written, so that nothing new is begun.", "Free disk space where it is kept.", true},
	SetupOff:           {http.StatusForbidden, "The web setup page is switched off.", "Set EnableWebSetup=TRUE in platen.ini.", false},
	SettingInvalid:     {http.StatusUnprocessableEntity, "A setting cannot have this value.", "Change the value that the detail names.", false},
	SettingFixed:       {http.StatusConflict, "This setting is fixed by the environment or cannot be changed here.", "Change it where the service is started.", false},
	ConfirmationNeeded: {http.StatusConflict, "This change lets more people in.", "Look at its effects, then confirm it.", false},
	ChangeUnknown:      {http.StatusNotFound, "There is no such change, or it cannot be undone any more.", "Read the list of changes again.", false},
	ChangeOnTrial:      {http.StatusConflict, "Another change is on trial.", "Keep it or let it revert first.", true},
	CertificateInvalid: {http.StatusUnprocessableEntity, "This certificate and key cannot be used.", "See the detail.", false},

	EncryptionRequired: {http.StatusForbidden, "The computer with this scanner gives pages to its gateway only encrypted, and this program did not ask for that.", "Scan with Platen's own page over HTTPS, or with a program that encrypts end to end.", false},
	SealedForOthers:    {http.StatusConflict, "These pages are encrypted for different devices, so that no one of them could open the file.", "Save the pages of each device by itself, or at the computer with the scanner.", false},
	RoadNotOpen:        {http.StatusUnauthorized, "This direct connection was not opened, or its time is up.", "Ask the gateway for a new grant, or fetch it through the gateway.", true},

	LicenseMissing:     {http.StatusForbidden, "This web page needs a licence for scanning, and none is set.", "Set productKey or handshakeCode in the page, or ProductKey in platen.ini at the end that the detail names.", false},
	LicenseInvalid:     {http.StatusForbidden, "This is not a licence that is taken here.", "Copy the whole key. The end that the detail names must trust the vendor who signed it.", false},
	LicenseExpired:     {http.StatusForbidden, "The licence has run out.", "Renew it with the vendor. What was scanned stays there to be fetched.", false},
	LicenseNotYetValid: {http.StatusForbidden, "The licence is not valid yet.", "Wait for its first day, or check the clock of the end that the detail names.", false},
	LicenseElsewhere:   {http.StatusForbidden, "The licence belongs to another gateway or computer.", "Use it where it was made for, or ask the vendor for one for this end.", false},
	LicenseOrigin:      {http.StatusForbidden, "The licence does not name this web page.", "Ask the vendor to add the page's origin.", false},
	LicenseBoth:        {http.StatusUnprocessableEntity, "A product key and a handshake code cannot be used together.", "Set one of them.", false},
	LicenseRevoked:     {http.StatusForbidden, "The licence was withdrawn or replaced.", "Set the newer key, or ask the licence's administrator.", false},
	LicenseSeats:       {http.StatusForbidden, "All seats of the licence are taken.", "Wait for one, let its administrator release one, or buy more.", true},
	LicensePages:       {http.StatusForbidden, "The pages of the licence are used up.", "Buy more, or wait for the next period. What was scanned stays there to be fetched.", false},
	LicenseModule:      {http.StatusForbidden, "The licence does not include this module.", "Ask the vendor for the module that the detail names.", false},
	LicenseClock:       {http.StatusForbidden, "The clock of this computer went back, so that the licence's time cannot be told.", "Set the clock right, and connect it to its gateway or licence tracking server once.", true},
	HandshakeUnknown:   {http.StatusForbidden, "The licence tracking server does not know this handshake code.", "Check its spelling: organisation, hyphen, code.", false},
	TrackingOffline:    {http.StatusServiceUnavailable, "The licence tracking server does not answer, and the time without it is over.", "Check the connection of the end that the detail names. What was scanned stays there to be fetched.", true},
	ReceiptMissing:     {http.StatusForbidden, "The computer with the scanner did not account for this page.", "Ask the gateway's administrator to look at the node.", false},
	ReceiptInvalid:     {http.StatusUnprocessableEntity, "These pages are not accounted for as they should be.", "Ask the gateway's administrator to look at the node.", false},
	ReceiptGap:         {http.StatusConflict, "Pages are missing before these.", "Report from the mark on that the detail names.", true},
	ItemExists:         {http.StatusConflict, "This licence or handshake code is there already.", "Change it, or take it away first.", false},
	ModuleMissing:      {http.StatusServiceUnavailable, "What this module needs is not installed at the computer with the scanner.", "Install what the detail names.", false},
	ModuleFailed:       {http.StatusUnprocessableEntity, "The module could not read this page.", "Scan it again with a higher resolution. The detail says more.", false},
	FileDamaged:        {http.StatusUnprocessableEntity, "This file cannot be read.", "Check that it opens in another program, without a password.", false},
	StorageFailed:      {http.StatusInsufficientStorage, "The computer with the scanner cannot write its disk.", "Check that disk and the rights of Platen's data folder. What was scanned before is safe, and scanning works again once the disk does; if it was taken out, restart Platen there.", true},
}

// Codes lists the table in no order; for documents and tests.
func Codes() []Code {
	codes := make([]Code, 0, len(table))
	for c := range table {
		codes = append(codes, c)
	}
	return codes
}

func (c Code) entry() entry {
	if e, ok := table[c]; ok {
		return e
	}
	return table[Internal]
}

// Status is the HTTP status that goes with the code.
func (c Code) Status() int { return c.entry().status }

// Title is one sentence for people: what happened.
func (c Code) Title() string { return c.entry().title }

// Next is one sentence for people: what to do about it.
func (c Code) Next() string { return c.entry().next }

// Retryable reports whether the same request may succeed later.
func (c Code) Retryable() bool { return c.entry().retryable }

// Error makes a problem without detail, for returning and for errors.Is.
func (c Code) Error() *Error { return &Error{Code: c} }
