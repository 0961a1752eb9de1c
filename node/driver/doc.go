// Package driver is how a node reaches its devices. A Driver lists and opens the
// devices of one kind; it runs only inside a worker process, because vendor code
// crashes, hangs and changes signal handlers. A node never calls a Driver: it has
// Workers, which start one process a device and speak the worker protocol with it
// over pipes. Pages are encoded in the worker; the node sees files, not pixels.
//
// # Starting a worker
//
// A program that can be a worker asks IsWorker before anything else in main, even
// before it reads flags, configuration or its environment:
//
//	if driver.IsWorker(os.Args[1:]) {
//		os.Exit(driver.WorkerMain(os.Args[1:], []driver.Driver{virtual.New()}, imaging.Codecs{}))
//	}
//
// The command lines are
//
//	PROGRAM worker DRIVER          serve one device, or one listing, of DRIVER
//	PROGRAM worker convert SPEC    make a rendition of the page that is standard input
//	PROGRAM worker barcodes SPEC   read the barcodes on it
//
// and the environment holds PLATEN_WORKER_DEPTH=1. A worker that was started without
// it, or with more than 1, exits with status 2: a worker never has a worker, so a
// mistake in dispatching cannot become a fork bomb. Nothing else of PLATEN_* reaches a
// worker. Drivers are values that have done nothing yet: native libraries are loaded by
// the first call of Devices or Open.
//
// # The worker protocol, version 1
//
// At its start the worker keeps its standard input and output for frames, points
// descriptor 0 at nothing and descriptor 1 at descriptor 2, because native drivers print.
// Standard error goes to the node's log, so many lines a second and no more.
//
// A frame is a 32-bit big-endian word, kind<<24 | length, and length bytes. Kind 1 is
// JSON of at most 64 KiB, kind 2 is page data of at most 256 KiB. Members that are not
// known are ignored. The worker begins with
//
//	{"hello":{"version":1,"driver":"virtual"}}
//
// and then answers requests, one at a time, in order:
//
//	{"op":"devices","seq":1}                  {"reply":{"seq":1,"devices":[…]}}
//	{"op":"open","seq":2,"name":"…"}          {"reply":{"seq":2}}
//	{"op":"capabilities","seq":3}             {"reply":{"seq":3,"capabilities":{…}}}
//	{"op":"status","seq":4}                   {"reply":{"seq":4,"status":{…}}}
//	{"op":"scan","seq":5,"settings":{…}}      pages, then {"reply":{"seq":5}}
//
// A reply with "error" says why not. A page is
//
//	{"page":{…}}            its PageInfo
//	data frames             the encoded file, in order, as it is made
//	{"lines":N}             progress: N rows are encoded; between data frames
//	{"end":{"height":N,"patches":[…]}}, or {"fail":{…}}: what came is no page
//
// {"alive":true} says that the device is at work and has nothing to show yet. Two
// requests need no answer and are taken at any time: {"op":"cancel","seq":5} ends the
// scan with that number, and {"op":"finish","seq":5} ends it after the sheet under way.
// Seq 0 cancels what an earlier scan left open. The end of its standard input tells the
// worker to close the device and go.
//
// A worker that is full waits: it drops nothing. It leaves by os.Exit, so that no
// exit handler of a native library runs.
package driver
