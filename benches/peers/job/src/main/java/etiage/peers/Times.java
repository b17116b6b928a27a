/** Times such as `2019-02-19 14:02:10`, in UTC, read from bytes. Minutes repeat: the last one is remembered. */
package etiage.peers;

import java.time.LocalDate;

final class Times {
    static final long BAD = Long.MIN_VALUE;
    private long lastDay;
    private long lastMinute;
    private long lastMs = BAD;

    /** {@link #BAD} where the 19 bytes are no such time. */
    long read(byte[] bytes, int at) {
        long day = Swar.longAt(bytes, at);
        long minute = Swar.longAt(bytes, at + 8);
        if (day != lastDay || minute != lastMinute || lastMs == BAD) {
            lastMs = minute(bytes, at);
            lastDay = day;
            lastMinute = minute;
        }
        int tens = bytes[at + 17] - '0';
        int ones = bytes[at + 18] - '0';
        if (lastMs == BAD || bytes[at + 16] != ':' || tens < 0 || tens > 5 || ones < 0 || ones > 9) {
            return BAD;
        }
        return lastMs + (tens * 10 + ones) * 1000L;
    }

    private static long minute(byte[] b, int at) {
        int year = digits(b, at, 4);
        int month = digits(b, at + 5, 2);
        int day = digits(b, at + 8, 2);
        int hour = digits(b, at + 11, 2);
        int minute = digits(b, at + 14, 2);
        boolean shaped = b[at + 4] == '-' && b[at + 7] == '-' && b[at + 10] == ' ' && b[at + 13] == ':';
        boolean ranged = year >= 0 && month >= 1 && month <= 12 && day >= 1 && hour >= 0 && hour < 24 && minute >= 0 && minute < 60;
        if (!shaped || !ranged || day > LocalDate.of(year, month, 1).lengthOfMonth()) {
            return BAD;
        }
        return ((LocalDate.of(year, month, day).toEpochDay() * 24 + hour) * 60 + minute) * 60_000;
    }

    /** −1 where they are none. */
    private static int digits(byte[] b, int at, int count) {
        int number = 0;
        for (int i = at; i < at + count; i++) {
            int digit = b[i] - '0';
            if (digit < 0 || digit > 9) {
                return -1;
            }
            number = number * 10 + digit;
        }
        return number;
    }
}
