// Package bench measures the whole system and writes docs/benchmarks.md: `make
// bench`. All sides of a comparison run in turn, round after round, so that load
// from elsewhere falls on all alike; ratios within one run are the result, single
// times are not. It is behind the build tag bench and needs root, SANE's test back
// end, sane-airscan, Avahi, a C compiler and curl.
package bench
