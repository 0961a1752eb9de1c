// Package sane drives scanners through SANE (https://sane-project.gitlab.io/standard/1.06).
// libsane is loaded at run time, so the program builds without it and says what to
// install where it is absent. Its configuration is the system's, or that of
// SANE_CONFIG_DIR.
//
// The package is for worker processes only: back ends crash, block for minutes, print,
// and take SIGTERM for themselves. All calls come from one goroutine on one thread; only
// sane_cancel may come from another, and only when a call does not return by itself.
// sane_exit is never called, because back ends hang in it; the worker leaves without.
//
// What back ends mean by their option values is guessed from words (words.go); what a
// device can do is asked of it, source by source and mode by mode. A lineart mode is
// made of gray by a threshold where the device has none. Pages in three passes are put
// together from planes that are held in memory up to a limit and in a temporary file
// beyond it.
package sane
