package connectors

import (
	"errors"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
)

const (
	microsPerSecond = 1_000_000
	microsPerDay    = 86_400 * microsPerSecond
)

// DaysFromCivil counts days from 1970-01-01 in the proleptic Gregorian calendar;
// year 0 is 1 BC.
func DaysFromCivil(year, month, day int) int {
	if month <= 2 {
		year--
	}
	era := floorDiv(year, 400)
	yoe := year - era*400
	mp := (month + 9) % 12
	doy := (153*mp+2)/5 + day - 1
	doe := yoe*365 + yoe/4 - yoe/100 + doy
	return era*146097 + doe - 719468
}

// CivilFromDays is the inverse of DaysFromCivil.
func CivilFromDays(days int) (year, month, day int) {
	days += 719468
	era := floorDiv(days, 146097)
	doe := days - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	year = yoe + era*400
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	day = doy - (153*mp+2)/5 + 1
	month = mp + 3
	if month > 12 {
		month -= 12
		year++
	}
	return year, month, day
}

func floorDiv(a, b int) int {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

var (
	errDate      = errors.New("not a date")
	errTime      = errors.New("not a time of day")
	errTimestamp = errors.New("not a timestamp")
)

// ParseDate reads 2006-01-02 with at least four year digits, an optional sign
// for years before 1, and "infinity"/"-infinity". It refuses dates that do not
// exist, such as 0000-00-00, and those beyond the days of a Date32.
func ParseDate[T ~string | ~[]byte](s T) (arrow.Date32, error) {
	switch string(s) {
	case "infinity":
		return DateInfinity, nil
	case "-infinity":
		return DateMinusInfinity, nil
	}
	days, n, ok := scanDate(s)
	if !ok || n != len(s) || days <= math.MinInt32 || days >= math.MaxInt32 {
		return 0, errDate
	}
	return arrow.Date32(days), nil
}

// MySQL keeps dates that no calendar has: 0000-00-00, 2024-00-15, 2024-02-31.
// They travel as values far outside any real one, so that nothing is lost
// before the destination and the pipeline's policy decide. AppendDate and
// AppendTimestamp spell them as they were.
const (
	invalidDateBase      = int64(math.MinInt32) + 1
	invalidTimestampBase = int64(math.MinInt64) + 1
	invalidCodes         = (9999*13+12)*32 + 32 // of year, month 0-12, day 0-31
)

// InvalidDate reads a date of four, two and two digits that the calendar does
// not have; ok is false for anything else, real dates included.
func InvalidDate[T ~string | ~[]byte](s T) (d arrow.Date32, ok bool) {
	code, ok := invalidCode(s)
	return arrow.Date32(invalidDateBase + code), ok && len(s) == 10
}

// InvalidTimestamp is InvalidDate for a date with a time of day.
func InvalidTimestamp[T ~string | ~[]byte](s T) (ts arrow.Timestamp, ok bool) {
	code, ok := invalidCode(s)
	if !ok {
		return 0, false
	}
	us := int64(0)
	if len(s) > 10 {
		n := 0
		if us, n, ok = scanTime(s, 11); !ok || n != len(s) || us >= microsPerDay {
			return 0, false
		}
	}
	return arrow.Timestamp(invalidTimestampBase + code*microsPerDay + us), true
}

func invalidCode[T ~string | ~[]byte](s T) (code int64, ok bool) {
	if len(s) < 10 || s[4] != '-' || s[7] != '-' {
		return 0, false
	}
	century, ok1 := twoDigits(s, 0)
	years, ok2 := twoDigits(s, 2)
	month, ok3 := twoDigits(s, 5)
	day, ok4 := twoDigits(s, 8)
	if !ok1 || !ok2 || !ok3 || !ok4 || month > 12 || day > 31 {
		return 0, false
	}
	year := century*100 + years
	if month > 0 && day > 0 && day <= daysIn(year, month) {
		return 0, false
	}
	return int64((year*13+month)*32 + day), true
}

// IsInvalidDate says whether d stands for a date no calendar has.
func IsInvalidDate(d arrow.Date32) bool {
	return int64(d) >= invalidDateBase && int64(d) < invalidDateBase+invalidCodes
}

// IsInvalidTimestamp says whether ts stands for a timestamp no calendar has.
func IsInvalidTimestamp(ts arrow.Timestamp) bool {
	return int64(ts) >= invalidTimestampBase && int64(ts) < invalidTimestampBase+invalidCodes*microsPerDay
}

func appendInvalid(dst []byte, code int64) []byte {
	return appendCivil(dst, int(code/32/13), int(code/32%13), int(code%32))
}

// ParseTime reads [-]15:04[:05[.999999]] in microseconds; hours may exceed 24.
// More than six fractional digits are an error unless they are zeros.
func ParseTime[T ~string | ~[]byte](s T) (arrow.Time64, error) {
	i := 0
	neg := len(s) > 0 && s[0] == '-'
	if neg {
		i = 1
	}
	us, n, ok := scanTime(s, i)
	if !ok || n != len(s) {
		return 0, errTime
	}
	if neg {
		us = -us
	}
	return arrow.Time64(us), nil
}

// ParseTimestamp reads a date, a space or T, a time of day and an optional zone
// (Z, +07, +07:00, +0700); a date alone is its midnight. zoned says whether a
// zone stood there; the result is then the instant in UTC.
func ParseTimestamp[T ~string | ~[]byte](s T) (ts arrow.Timestamp, zoned bool, err error) {
	switch string(s) {
	case "infinity":
		return TimestampInfinity, false, nil
	case "-infinity":
		return TimestampMinInfinity, false, nil
	}
	days, n, ok := scanDate(s)
	if !ok {
		return 0, false, errTimestamp
	}
	var us int64
	if n < len(s) {
		if s[n] != ' ' && s[n] != 'T' && s[n] != 't' {
			return 0, false, errTimestamp
		}
		us, n, ok = scanTime(s, n+1)
		if !ok || us > microsPerDay {
			return 0, false, errTimestamp
		}
	}
	if n < len(s) {
		offset, end, ok := scanZone(s, n)
		if !ok || end != len(s) {
			return 0, false, errTimestamp
		}
		us -= offset * microsPerSecond
		zoned = true
	}
	if days > math.MaxInt64/microsPerDay-1 || days < math.MinInt64/microsPerDay+1 {
		return 0, false, errTimestamp
	}
	return arrow.Timestamp(int64(days)*microsPerDay + us), zoned, nil
}

func scanDate[T ~string | ~[]byte](s T) (days, n int, ok bool) {
	neg := false
	i := 0
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		neg = s[i] == '-'
		i++
	}
	start := i
	year := 0
	for i < len(s) && s[i]-'0' <= 9 && i-start < 7 {
		year = year*10 + int(s[i]-'0')
		i++
	}
	if i-start < 4 || i+6 > len(s) || s[i] != '-' || s[i+3] != '-' {
		return 0, 0, false
	}
	month, ok1 := twoDigits(s, i+1)
	day, ok2 := twoDigits(s, i+4)
	if neg {
		year = -year
	}
	if !ok1 || !ok2 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return 0, 0, false
	}
	if year > maxYear || year < minYear {
		return 0, 0, false
	}
	days = DaysFromCivil(year, month, day)
	return days, i + 6, (days < 0) == (year < 1970) // else it did not fit into 32 bits
}

// The years in which the first and the last day lie that 32 bits can hold.
const (
	minYear = -5_877_641
	maxYear = 5_881_580
)

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

func twoDigits[T ~string | ~[]byte](s T, i int) (int, bool) {
	if i+2 > len(s) || s[i]-'0' > 9 || s[i+1]-'0' > 9 {
		return 0, false
	}
	return int(s[i]-'0')*10 + int(s[i+1]-'0'), true
}

func scanTime[T ~string | ~[]byte](s T, i int) (us int64, n int, ok bool) {
	start := i
	hours := int64(0)
	for i < len(s) && s[i]-'0' <= 9 && i-start < 9 {
		hours = hours*10 + int64(s[i]-'0')
		i++
	}
	if i-start < 1 || i >= len(s) || s[i] != ':' {
		return 0, 0, false
	}
	minutes, ok1 := twoDigits(s, i+1)
	if !ok1 || minutes > 59 {
		return 0, 0, false
	}
	i += 3
	seconds, fraction := 0, false
	if i < len(s) && s[i] == ':' {
		seconds, ok1 = twoDigits(s, i+1)
		if !ok1 || seconds > 59 {
			return 0, 0, false
		}
		i += 3
		fraction = true
	}
	us = (hours*3600 + int64(minutes)*60 + int64(seconds)) * microsPerSecond
	if fraction && i < len(s) && s[i] == '.' {
		i++
		unit := int64(100_000)
		first := i
		for i < len(s) && s[i]-'0' <= 9 {
			if unit == 0 && s[i] != '0' {
				return 0, 0, false
			}
			us += int64(s[i]-'0') * unit
			unit /= 10
			i++
		}
		if i == first {
			return 0, 0, false
		}
	}
	return us, i, true
}

func scanZone[T ~string | ~[]byte](s T, i int) (seconds int64, n int, ok bool) {
	switch s[i] {
	case 'Z', 'z':
		return 0, i + 1, true
	case '+', '-':
	default:
		return 0, 0, false
	}
	sign := int64(1)
	if s[i] == '-' {
		sign = -1
	}
	i++
	hours, ok := twoDigits(s, i)
	if !ok || hours > 23 {
		return 0, 0, false
	}
	i += 2
	total := int64(hours) * 3600
	for _, unit := range []int64{60, 1} {
		if i >= len(s) {
			break
		}
		if s[i] == ':' {
			i++
		}
		v, ok := twoDigits(s, i)
		if !ok || v > 59 {
			return 0, 0, false
		}
		total += int64(v) * unit
		i += 2
	}
	return sign * total, i, true
}

// AppendDate writes a date as ParseDate reads it.
func AppendDate(dst []byte, d arrow.Date32) []byte {
	switch d {
	case DateInfinity:
		return append(dst, "infinity"...)
	case DateMinusInfinity:
		return append(dst, "-infinity"...)
	}
	if IsInvalidDate(d) {
		return appendInvalid(dst, int64(d)-invalidDateBase)
	}
	year, month, day := CivilFromDays(int(d))
	return appendCivil(dst, year, month, day)
}

func appendCivil(dst []byte, year, month, day int) []byte {
	if year < 0 {
		dst = append(dst, '-')
		year = -year
	}
	if year > 9999 {
		dst = appendInt(dst, year)
	} else {
		dst = append(dst, byte('0'+year/1000), byte('0'+year/100%10), byte('0'+year/10%10), byte('0'+year%10))
	}
	return append(dst, '-', byte('0'+month/10), byte('0'+month%10), '-', byte('0'+day/10), byte('0'+day%10))
}

func appendInt(dst []byte, v int) []byte {
	if v >= 10 {
		dst = appendInt(dst, v/10)
	}
	return append(dst, byte('0'+v%10))
}

// AppendTime writes a time of day or a wide span as ParseTime reads it, with
// the fraction only where it is not zero.
func AppendTime(dst []byte, t arrow.Time64) []byte {
	us := int64(t)
	if us < 0 {
		dst = append(dst, '-')
		us = -us
	}
	seconds := us / microsPerSecond
	hours := int(seconds / 3600)
	if hours < 10 {
		dst = append(dst, '0')
	}
	dst = appendInt(dst, hours)
	minutes, secs := int(seconds/60%60), int(seconds%60)
	dst = append(dst, ':', byte('0'+minutes/10), byte('0'+minutes%10), ':', byte('0'+secs/10), byte('0'+secs%10))
	if frac := int(us % microsPerSecond); frac != 0 {
		dst = append(dst, '.')
		for unit := 100_000; unit > 0 && frac > 0; unit /= 10 {
			dst = append(dst, byte('0'+frac/unit))
			frac %= unit
		}
	}
	return dst
}

// AppendTimestamp writes date, sep, time; infinities as words. A zone is the
// caller's to add.
func AppendTimestamp(dst []byte, ts arrow.Timestamp, sep byte) []byte {
	switch ts {
	case TimestampInfinity:
		return append(dst, "infinity"...)
	case TimestampMinInfinity:
		return append(dst, "-infinity"...)
	}
	if IsInvalidTimestamp(ts) {
		off := int64(ts) - invalidTimestampBase
		dst = append(appendInvalid(dst, off/microsPerDay), sep)
		return AppendTime(dst, arrow.Time64(off%microsPerDay))
	}
	days := int64(ts) / microsPerDay
	us := int64(ts) % microsPerDay
	if us < 0 {
		us += microsPerDay
		days--
	}
	year, month, day := CivilFromDays(int(days))
	dst = appendCivil(dst, year, month, day)
	dst = append(dst, sep)
	return AppendTime(dst, arrow.Time64(us))
}
