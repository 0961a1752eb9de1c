// Package memdisco is a local network in memory, for tests of what uses package discovery.
package memdisco
