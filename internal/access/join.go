package access

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const (
	joinKey          = "join."
	joinPrefix       = "platen-join."
	joinLife         = 10 * time.Minute
	joinSecretLength = 32 // base32 characters: 160 bits
	maxJoinText      = 2048
	maxJoinTries     = 5
	maxJoinOpen      = 100
	maxJoinAddresses = 16
)

// JoinToken is what a node needs to find a gateway, to know it and to be let in. Its
// text goes to `platen node --join`.
type JoinToken struct {
	Addresses []string `json:"a"` // host:port, the best first
	Pin       string   `json:"p"` // of the gateway's key: the first contact is already safe
	ID        string   `json:"i"`
	Secret    string   `json:"s"`
}

// String is the token's text.
func (t JoinToken) String() string {
	body, err := json.Marshal(t)
	if err != nil {
		panic(fmt.Sprintf("access: join token that is no JSON: %v", err)) // strings only
	}
	return joinPrefix + base64.RawURLEncoding.EncodeToString(body)
}

// Credential is the part that the node shows to the gateway: member token of the
// join request.
func (t JoinToken) Credential() string { return t.ID + "." + t.Secret }

// ParseJoinToken reads a token's text. Errors are JoinTokenInvalid problems.
func ParseJoinToken(s string) (JoinToken, error) {
	var t JoinToken
	encoded, ok := strings.CutPrefix(strings.TrimSpace(s), joinPrefix)
	if !ok || len(encoded) > maxJoinText {
		return t, problem.New(problem.JoinTokenInvalid, "A join token begins with %s", joinPrefix)
	}
	body, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || json.Unmarshal(body, &t) != nil {
		return JoinToken{}, problem.New(problem.JoinTokenInvalid, "A part of the join token is missing or wrong.")
	}
	if !isPin(t.Pin) || !isText(t.ID, shortIDLength) || !isText(t.Secret, joinSecretLength) ||
		len(t.Addresses) == 0 || len(t.Addresses) > maxJoinAddresses {
		return JoinToken{}, problem.New(problem.JoinTokenInvalid, "A part of the join token is missing or wrong.")
	}
	for _, a := range t.Addresses {
		if parsed, err := ParseAuthority(a, 0); err != nil || parsed.Port == 0 {
			return JoinToken{}, problem.New(problem.JoinTokenInvalid, "The join token holds a malformed address.")
		}
	}
	return t, nil
}

// isPin reports whether text can be the pin of a key.
func isPin(text string) bool {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	return err == nil && len(raw) == 32
}

// JoinTokens makes and redeems join tokens at a gateway. Those that hold another pin
// than the gateway's present one are void.
type JoinTokens struct {
	Records Records
	Pin     func() string    // of the gateway's key
	Now     func() time.Time // nil: time.Now
}

// joinRecord is kept until its time is up, also when used: the second try is told so.
type joinRecord struct {
	ID      string    `json:"id"`
	Label   string    `json:"label,omitempty"`
	Labels  []string  `json:"labels,omitempty"` // of the node that joins
	Pin     string    `json:"pin"`
	Hash    []byte    `json:"hash"`
	Expires time.Time `json:"expires"`
	Node    string    `json:"node,omitempty"` // that used it
	Tries   int       `json:"tries,omitempty"`
}

func (j *JoinTokens) now() time.Time {
	if j.Now == nil {
		return time.Now()
	}
	return j.Now()
}

// Create makes a token for the gateway at these addresses. The answer is the only one
// that ever holds the token.
func (j *JoinTokens) Create(ctx context.Context, addresses []string, want api.JoinTokenRequest) (api.JoinToken, error) {
	open, err := j.open(ctx)
	if err != nil {
		return api.JoinToken{}, err
	}
	if len(open) >= maxJoinOpen {
		return api.JoinToken{}, problem.New(problem.TooManyRequests, "%d join tokens are open.", len(open)).After(joinLife)
	}
	t := JoinToken{Addresses: addresses, Pin: j.Pin(), ID: scan.RandomText(shortIDLength), Secret: scan.RandomText(joinSecretLength)}
	if _, err := ParseJoinToken(t.String()); err != nil {
		return api.JoinToken{}, fmt.Errorf("making a join token: %w", errors.New(err.Error()))
	}
	r := joinRecord{ID: t.ID, Label: want.Label, Labels: want.Labels, Pin: t.Pin, Hash: hash(t.Secret), Expires: j.now().Add(joinLife)}
	if err := j.write(ctx, r, 0); err != nil {
		return api.JoinToken{}, err
	}
	answer := r.describe()
	answer.Token = t.String()
	return answer, nil
}

// kept is until when a record is remembered, so that a late node is told the cause.
func (r joinRecord) kept() time.Time { return r.Expires.Add(joinLife) }

func (r joinRecord) describe() api.JoinToken {
	return api.JoinToken{Id: r.ID, Label: r.Label, Labels: r.Labels, Expires: scan.At(r.Expires)}
}

// Redeem uses the token up for the node and answers how that is to be labelled. The
// same node may do it again, because its first answer may have been lost; any other
// gets JoinTokenUsed. Five wrong secrets void the token.
func (j *JoinTokens) Redeem(ctx context.Context, credential, node string) (labels []string, err error) {
	id, secret, ok := strings.Cut(credential, ".")
	if !ok || !isText(id, shortIDLength) || !isText(secret, joinSecretLength) {
		return nil, problem.JoinTokenInvalid.Error()
	}
	err = withRetry(ctx, func() error {
		r, revision, err := j.read(ctx, id)
		if err != nil {
			return err
		}
		if subtle.ConstantTimeCompare(r.Hash, hash(secret)) != 1 {
			return j.wrong(ctx, r, revision)
		}
		switch {
		case r.Pin != j.Pin():
			return problem.JoinTokenInvalid.Error()
		case r.Node == node:
			labels = r.Labels
			return nil
		case r.Node != "":
			return problem.JoinTokenUsed.Error()
		case !j.now().Before(r.Expires):
			return problem.JoinTokenExpired.Error()
		}
		r.Node, labels = node, r.Labels
		return j.write(ctx, r, revision)
	})
	if err != nil {
		return nil, err
	}
	return labels, nil
}

func (j *JoinTokens) wrong(ctx context.Context, r joinRecord, revision uint64) error {
	if r.Tries++; r.Tries >= maxJoinTries {
		if err := j.Delete(ctx, r.ID); err != nil {
			return err
		}
		return problem.JoinTokenInvalid.Error()
	}
	if err := j.write(ctx, r, revision); err != nil {
		return err
	}
	return problem.JoinTokenInvalid.Error()
}

func (j *JoinTokens) read(ctx context.Context, id string) (joinRecord, uint64, error) {
	r, revision, err := GetRecord[joinRecord](ctx, j.Records, joinKey+id)
	if errors.Is(err, ErrNoRecord) {
		err = problem.JoinTokenInvalid.Error()
	}
	return r, revision, err
}

func (j *JoinTokens) write(ctx context.Context, r joinRecord, revision uint64) error {
	return PutRecord(ctx, j.Records, joinKey+r.ID, r, r.kept(), revision)
}

// List pages through the tokens that can still be used, without their secrets.
func (j *JoinTokens) List(ctx context.Context, limit int, cursor string) (items []api.JoinToken, next string, err error) {
	open, err := j.open(ctx)
	if err != nil {
		return nil, "", err
	}
	return pageOf(open, func(t api.JoinToken) string { return t.Id }, limit, cursor)
}

func (j *JoinTokens) open(ctx context.Context) ([]api.JoinToken, error) {
	var open []api.JoinToken
	list, err := all[joinRecord](ctx, j.Records, joinKey)
	for _, r := range list {
		if r.Node == "" && r.Pin == j.Pin() && j.now().Before(r.Expires) {
			open = append(open, r.describe())
		}
	}
	return open, err
}

// Delete voids a token. It is silent where there is none.
func (j *JoinTokens) Delete(ctx context.Context, id string) error {
	if err := j.Records.Delete(ctx, joinKey+id); err != nil {
		return fmt.Errorf("deleting a join token: %w", err)
	}
	return nil
}
