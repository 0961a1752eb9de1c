// Package turbo makes JPEG with libjpeg-turbo (libjpeg.so.62), which is loaded at run
// time, so that nothing is needed to build. It is about eight times as fast as the
// standard library on one core. Only worker processes use it.
//
// Where the library is missing, or is another one than expected, Codecs says so in an
// error and callers go on with the zero imaging.Codecs.
package turbo
