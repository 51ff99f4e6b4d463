#include "check.h"

#include "fmt.h"

static unsigned checks;
static unsigned failures;

bool check(bool ok, const char *name, const char *text, ...)
{
	va_list args;

	checks++;
	if (ok) {
		print("PASS %s\n", name);
		return true;
	}
	failures++;
	print("FAIL %s: ", name);
	va_start(args, text);
	vprint(text, args);
	va_end(args);
	print("\n");
	return false;
}

void skip(const char *name, const char *reason)
{
	print("SKIP %s: %s\n", name, reason);
}

bool check_summary(const char *program)
{
	if (failures)
		print("%s: %u of %u checks FAILED\n", program, failures, checks);
	else
		print("%s: all %u checks passed\n", program, checks);
	return failures == 0;
}
