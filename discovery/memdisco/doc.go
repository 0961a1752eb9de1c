// Package memdisco is a local network in memory, for tests of what uses package
// discovery. What an Advertiser announces while it serves, every Browser of the same LAN
// sees at once; a name that another one has gets a number, as on a real network.
package memdisco
