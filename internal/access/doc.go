// Package access decides who may call, the same way at a node and at a gateway.
//
// Node and gateway build a Guard and give it their table of routes; the http.Handler
// that comes back is what their listeners serve. Each request is judged in one order,
// and the first refusal ends it:
//
//  1. Host or :authority: a name that this end has, else 421
//  2. route and method, from the table: 404, 405 with Allow
//  3. Origin: this end's own page, a foreign page that is allowed (Origins), or none,
//     else 403 without any CORS header
//  4. Sec-Fetch-Site: nothing that another site's page made the browser send, but for
//     what an allowed page fetches and for links with a ticket
//  5. who: session cookie, bearer token, ticket, grant of the gateway for this request or
//     for the direct road that it came by, or trust in the machine's own user; a foreign page only by the token of a session of its own
//  6. how often, and whether the role is enough
//  7. the identifiers in the path, the size of the body
//
// Then the route's handler runs. Connection limits and timeouts belong to the
// listener; licences and idempotency to the packages behind the handler.
//
// GET /service is the exception to 3: its anonymous answer is constant, and every page
// may read it.
//
// Programs of the local network that have no sign-in, as eSCL clients, come by a server of
// this process: Neighbours judges where they are and which page sends them, RoadESCL what
// they may.
//
// The package also keeps sessions, pairing codes and join tokens (Records), and signs
// and checks grants: the gateway's permission for one request over a link. It never
// stores a secret unhashed, never logs one, and never looks into pages.
package access
