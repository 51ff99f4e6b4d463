/* The SCLP ASCII console. */
#ifndef CONSOLE_H
#define CONSOLE_H

/* Enables the service signal and announces ASCII output; without an SCLP console all output is dropped. */
void console_open(void);

/* Collects characters and writes each finished line as one event. */
void console_write(const char *text);

#endif
