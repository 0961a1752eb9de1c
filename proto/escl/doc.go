// Package escl is the vocabulary of eSCL, the HTTP protocol by which operating systems
// scan without drivers.
package escl
