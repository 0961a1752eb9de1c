//go:build linux || darwin

package sane

import "unsafe"

// handle is an open device of the library.
type handle struct {
	*handleFunctions
	handle uintptr
}

func (h *handle) option(n int32) (option, bool) {
	if n >= maxOptions {
		return option{}, false
	}
	c := h.descriptor(h.handle, n)
	if c == nil {
		return option{}, false
	}
	o := option{
		index: n, name: text(c.name), title: text(c.title), description: text(c.desc),
		typ: c.typ, unit: c.unit, size: int(c.size), caps: c.caps,
	}
	if c.constraint != nil {
		o.constraint = c.constraintType
		o.constrain(c.constraint)
	}
	return o, true
}

// constrain reads the constraint's C form.
func (o *option) constrain(p unsafe.Pointer) {
	switch o.constraint {
	case constraintRange:
		r := (*[3]int32)(p)
		o.min, o.max, o.quant = r[0], r[1], r[2]
	case constraintWordList:
		count := *(*int32)(p)
		o.words = append(o.words, unsafe.Slice((*int32)(unsafe.Add(p, 4)), min(max(count, 0), maxList))...)
	case constraintStringList:
		for list := (*[maxList]*byte)(p); len(o.strings) < maxList && list[len(o.strings)] != nil; {
			o.strings = append(o.strings, text(list[len(o.strings)]))
		}
	}
}

func (h *handle) control(n, action int32, value []byte) (int32, status) {
	var info int32
	var p *byte
	if len(value) > 0 {
		p = &value[0]
	}
	st := h.controlOption(h.handle, n, action, p, &info)
	return info, st
}

func (h *handle) parameters() (parameters, status) {
	var p parameters
	st := h.getParameters(h.handle, &p)
	return p, st
}

func (h *handle) start() status { return h.startFrame(h.handle) }

func (h *handle) read(p []byte) (int, status) {
	var n int32
	st := h.readFrame(h.handle, &p[0], int32(min(len(p), 1<<30)), &n)
	return min(max(int(n), 0), len(p)), st
}

func (h *handle) cancel() { h.cancelHandle(h.handle) }
func (h *handle) close()  { h.closeHandle(h.handle) }
