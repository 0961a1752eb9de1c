// Package e2e holds the tests of the whole system: the built programs in processes
// of their own, on networks made of namespaces, with libsane and Chromium. They are
// behind the build tag e2e and need root; `make e2e` runs them.
package e2e
