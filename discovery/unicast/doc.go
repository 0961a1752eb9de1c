// Package unicast looks for services with a name server (DNS-SD over unicast DNS, RFC
// 6763), where multicast is filtered.
package unicast
