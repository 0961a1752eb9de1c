/* rawread: what a SANE device can give at most: read pages and drop them.
 * cc -O2 -o rawread rawread.c -lsane
 * rawread DEVICE PAGES SOURCE RESOLUTION READ_DELAY_US (0: none)
 * Ends with _exit, because back ends hang in sane_exit now and then. */
#include <sane/sane.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void set(SANE_Handle h, const char *name, const char *value)
{
	for (SANE_Int i = 1;; i++) {
		const SANE_Option_Descriptor *d = sane_get_option_descriptor(h, i);
		if (!d) {
			fprintf(stderr, "no option %s\n", name);
			_exit(2);
		}
		if (!d->name || strcmp(d->name, name))
			continue;
		char text[256] = {0};
		SANE_Word word = d->type == SANE_TYPE_FIXED ? SANE_FIX(atof(value)) : atoi(value);
		strncpy(text, value, sizeof text - 1);
		if (sane_control_option(h, i, SANE_ACTION_SET_VALUE, d->type == SANE_TYPE_STRING ? (void *)text : &word, 0)) {
			fprintf(stderr, "cannot set %s=%s\n", name, value);
			_exit(2);
		}
		return;
	}
}

int main(int argc, char **argv)
{
	static SANE_Byte buf[1 << 16];
	SANE_Handle h;
	SANE_Int n;
	if (argc != 6)
		return 2;
	sane_init(0, 0);
	if (sane_open(argv[1], &h))
		_exit(1);
	set(h, "mode", "Color");
	set(h, "depth", "8");
	set(h, "source", argv[3]);
	set(h, "resolution", argv[4]);
	if (atoi(argv[5])) {
		set(h, "read-delay", "1");
		set(h, "read-delay-duration", argv[5]);
	}
	for (int page = 0; page < atoi(argv[2]); page++) {
		if (sane_start(h))
			_exit(1);
		while (sane_read(h, buf, sizeof buf, &n) == SANE_STATUS_GOOD)
			;
	}
	_exit(0);
}
