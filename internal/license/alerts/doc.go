// Package alerts tells administrators by mail and webhook when a licence is nearly used
// up or nearly over.
//
// An alert is one record in access.Records, named after what it is about: item, revision,
// threshold and period. Create makes it, so that it comes up once whichever of several
// servers on the same records sees it first; the record is also the queue of what is to be
// sent and the history that people see. A server takes one message of it by Update, which
// gives it two minutes, then sends, then writes down what came of it. One that ends in
// between leaves the message to the next who looks: a message may come twice, with the same
// ID, and is never forgotten.
//
// A standby has the records of its main server, and watches and sends while that one is away:
// also that it is away. The main one is told of it, and does not send it again.
//
// Mail goes to one server that platen.ini names. Webhooks are URLs that an administrator
// has set: http or https, at any address, also within the network, since that is where
// such services are. Nobody else can set one, no redirect is followed, and nothing of the
// answer is shown but its status.
package alerts
