// SPDX-License-Identifier: BSD-2-Clause
#include "platform/rtc.h"

#include <stdbool.h>
#include "cpu/io.h"

#define RTC_PORT_INDEX	0x70
#define RTC_PORT_DATA	0x71
#define RTC_REG_SECOND	0x00
#define RTC_REG_MINUTE	0x02
#define RTC_REG_HOUR	0x04
#define   RTC_HOUR_PM	0x80
#define RTC_REG_DAY	0x07
#define RTC_REG_MONTH	0x08
#define RTC_REG_YEAR	0x09
#define RTC_REG_A	0x0a
#define   RTC_A_UPDATE	0x80
#define RTC_REG_B	0x0b
#define   RTC_B_24H	0x02
#define   RTC_B_BINARY	0x04
#define RTC_REG_CENTURY	0x32
#define MOST_TRIES	10000

struct reading {
	uint8_t second, minute, hour, day, month, year, century;
};

static uint8_t rtc_register(uint8_t reg)
{
	port_out8(RTC_PORT_INDEX, reg);
	return port_in8(RTC_PORT_DATA);
}

static struct reading read_once(void)
{
	return (struct reading){
		rtc_register(RTC_REG_SECOND), rtc_register(RTC_REG_MINUTE),
		rtc_register(RTC_REG_HOUR), rtc_register(RTC_REG_DAY),
		rtc_register(RTC_REG_MONTH), rtc_register(RTC_REG_YEAR),
		rtc_register(RTC_REG_CENTURY),
	};
}

static bool same(const struct reading *a, const struct reading *b)
{
	return a->second == b->second && a->minute == b->minute && a->hour == b->hour &&
		a->day == b->day && a->month == b->month && a->year == b->year;
}

static unsigned decimal(uint8_t value, bool binary)
{
	return binary ? value : (value >> 4) * 10u + (value & 15);
}

/* Days since 1970-01-01 of a date of the Gregorian calendar; years begin in March here. */
static int64_t days_since_1970(unsigned year, unsigned month, unsigned day)
{
	unsigned y = month <= 2 ? year - 1 : year, m = (month + 9) % 12;

	return (int64_t)y * 365 + y / 4 - y / 100 + y / 400 + (m * 306 + 5) / 10 + day - 1 - 719468;
}

int64_t rtc_read(void)
{
	struct reading now, again;
	uint8_t b = rtc_register(RTC_REG_B);
	bool binary = b & RTC_B_BINARY;

	/* Two equal readings outside of an update, so that none is half old and half new. */
	for (unsigned tries = 0;; tries++) {
		if (tries == MOST_TRIES)
			return 0;
		if (rtc_register(RTC_REG_A) & RTC_A_UPDATE)
			continue;
		now = read_once();
		again = read_once();
		if (same(&now, &again))
			break;
	}

	unsigned hour = decimal(now.hour & (uint8_t)~RTC_HOUR_PM, binary);
	unsigned month = decimal(now.month, binary), day = decimal(now.day, binary);
	unsigned century = decimal(now.century, binary);

	if (!(b & RTC_B_24H))
		hour = hour % 12 + (now.hour & RTC_HOUR_PM ? 12 : 0);
	if (month < 1 || month > 12 || day < 1 || day > 31)
		return 0;
	if (century < 19 || century > 29)
		century = 20;

	int64_t days = days_since_1970(century * 100 + decimal(now.year, binary), month, day);

	return ((days * 24 + hour) * 60 + decimal(now.minute, binary)) * 60 +
		decimal(now.second, binary);
}
