package schema

import "fmt"

// Class says what kind of mistake an Error is, and with it what a server answers.
type Class uint8

// The classes.
const (
	Invalid  Class = iota + 1 // what was asked for is malformed or breaks a rule
	NotFound                  // the table or column does not exist
	Conflict                  // it does not go together with what exists
)

// Error is a rule that a request breaks.
type Error struct {
	Class   Class
	Message string
	Column  string // the column it is about, "" for the table
}

func (e *Error) Error() string {
	if e.Column != "" {
		return e.Message + ": column " + e.Column
	}
	return e.Message
}

// The texts that clients of AresDB know.
const (
	MsgTableMissing      = "Table does not exist"
	MsgTableExists       = "Table already exists"
	MsgColumnMissing     = "Column does not exist"
	MsgColumnDeleted     = "Column already deleted"
	MsgColumnDuplicate   = "Duplicated column name found"
	MsgColumnRepeated    = "Illegal deplicated use of column"
	MsgColumnLimit       = "Column count exceeds limit"
	MsgColumnCount       = "Insufficient column count"
	MsgColumnReuse       = "Reusing column id not allowed"
	MsgNoColumns         = "All columns are invalid"
	MsgNotEnum           = "Column is not enum type"
	MsgEnumFull          = "Enum column cardinality exceeds limit"
	MsgImmutable         = "Illegal schame update on immutable field"
	MsgDataType          = "Invalid data type"
	MsgTimeFirst         = "Fact table has to have time column as first column"
	MsgTimeDeleted       = "Time column cannot be deleted"
	MsgTimeDefault       = "Time column does not allow default value"
	MsgTimeHLL           = "HLLConfig not allowed for time column"
	MsgHLLDefault        = "hll column does not allow default value"
	MsgKeyMissing        = "Primary key columns not specified"
	MsgKeyDeleted        = "Primary key column cannot be deleted"
	MsgKeyChanged        = "Primary key column cannot be changed"
	MsgKeyType           = "Specified data type can not be used as primary key"
	MsgSortChanged       = "Illegal changes on sort columns"
	MsgSortType          = "Specified data type can not be used as sorting column"
	MsgSortOnDimension   = "Archiving sort columns not allowed for dimension table"
	MsgEventTime         = "Can not disallow missing event time"
	MsgVersion           = "New schema version not greater than old"
	MsgBadJSON           = "Bad request: failed to unmarshal request body"
	MsgNotFact           = "Table is not fact table"
	MsgNotDimension      = "Table is not dimension table"
	MsgNullDefault       = "Default value cannot be null"
	msgName              = "Invalid %s name: letters, digits and _ only, not a digit first, 1 to 255 bytes"
	msgColumnName        = "Invalid column name: 1 to 255 bytes, without / and control characters"
	msgEnumCase          = "Invalid enum case: 1 to 1024 bytes, not null"
	msgConfig            = "invalid table config: %s: less than min"
	msgTimeSourceUnknown = "Time source is not for dimension tables"
)

func fail(class Class, message string) error { return &Error{Class: class, Message: message} }

func failColumn(class Class, message, column string) error {
	return &Error{Class: class, Message: message, Column: column}
}

func invalidValue(value string, t Type, reason string) error {
	return &Error{Class: Invalid, Message: fmt.Sprintf("invalid value %.100s for type %s: %s", value, t.Name(), reason)}
}
