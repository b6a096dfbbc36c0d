/* dbrewind: record a SQLite database, mark moments, rewind to them in place.
 *
 * Generated from rust/capi by cbindgen (`make header`); not to be edited. rust/docs/c-abi.md is the page behind it.
 *
 * - A call that can fail answers 0 or the number of a DBR code, and writes its last argument, if that is not NULL: NULL, or
 *   an error that the caller frees. After an error the database is as it was, unless the text says otherwise.
 * - Arguments are required unless marked nullable. Names are UTF-8, paths any bytes; all is copied.
 * - Structs begin with `size`: set it to sizeof, and all else to zero: `dbrewind_options options = DBREWIND_INIT(options);`
 * - Any thread may make any call. Times are nanoseconds since 1970-01-01 UTC.
 */
#ifndef DBREWIND_H
#define DBREWIND_H

#include <stddef.h>
#include <stdint.h>

/* The version of this interface. It grows when a program that was compiled against an older header would break. */
#define DBREWIND_ABI_VERSION 1

/* Done. */
#define DBREWIND_OK 0

/* DBR001: a write bypassed the recording. */
#define DBREWIND_NOT_ATTACHED 1

/* DBR002: this SQLite cannot be reached. */
#define DBREWIND_UNREACHABLE 2

/* DBR003: no such mark. */
#define DBREWIND_MARK_NOT_FOUND 3

/* DBR004: somebody else holds what is needed. */
#define DBREWIND_BUSY 4

/* DBR010: the store cannot grow. */
#define DBREWIND_STORE_FULL 10

/* DBR011: the mark can no longer be reached. */
#define DBREWIND_MARK_LOST 11

/* DBR012: a file is missing. */
#define DBREWIND_FILE_MISSING 12

/* DBR013: not a database. */
#define DBREWIND_NOT_A_DATABASE 13

/* DBR014: no permission to write. */
#define DBREWIND_NOT_WRITABLE 14

/* DBR015: the store is damaged. */
#define DBREWIND_STORE_DAMAGED 15

/* DBR016: the store has another format version. */
#define DBREWIND_STORE_VERSION 16

/* DBR017: two SQLite libraries in one process. */
#define DBREWIND_TWO_SQLITES 17

/* DBR018: the database file was replaced. */
#define DBREWIND_FILE_REPLACED 18

/* DBR019: already closed. */
#define DBREWIND_CLOSED 19

/* DBR020: the process was forked. */
#define DBREWIND_FORKED 20

/* DBR021: this kind of database or change cannot be recorded. */
#define DBREWIND_UNSUPPORTED 21

/* DBR022: an argument is not valid. */
#define DBREWIND_INVALID_ARGUMENT 22

/* DBR023: the mark already exists. */
#define DBREWIND_MARK_EXISTS 23

/* DBR024: the keeper process failed. */
#define DBREWIND_KEEPER_FAILED 24

/* DBR025: reading or writing failed. */
#define DBREWIND_IO 25

/* DBR026: the hook ended the wait. */
#define DBREWIND_INTERRUPTED 26

/* DBR027: before the earliest moment that can be reached. */
#define DBREWIND_BEFORE_WINDOW 27

/* DBR099: a defect in dbrewind. */
#define DBREWIND_INTERNAL 99

/* synchronous: nothing waits for the disk. For databases that are thrown away after the test. */
#define DBREWIND_SYNCHRONOUS_OFF 1

/* synchronous: a power cut leaves the database whole; the newest commits may go. The default. */
#define DBREWIND_SYNCHRONOUS_NORMAL 2

/* synchronous: a rewind is durable when it returns. */
#define DBREWIND_SYNCHRONOUS_FULL 3

/* journal: switch the database to WAL first, if it is in another mode. Marks stay. */
#define DBREWIND_JOURNAL_WAL 1

/* journal: switch the database to DELETE first, if it is in WAL mode. Possible while nobody else has it open. */
#define DBREWIND_JOURNAL_DELETE 2

/* engine: in this process if its SQLite is reached and is the only copy, else in a keeper. The default. */
#define DBREWIND_ENGINE_AUTO 0

/* engine: in this process. */
#define DBREWIND_ENGINE_INSIDE 1

/* engine: in a process of its own. WAL mode only. */
#define DBREWIND_ENGINE_KEEPER 2

/* moments: in a rollback mode marks and both ends of rewinds can be gone to. In WAL mode every commit can. */
#define DBREWIND_MOMENTS_MARKS 1

/* moments: every commit can, in the rollback modes, too. */
#define DBREWIND_MOMENTS_COMMITS 2

/* flags of dbrewind_options: in the rollback modes, connections are recorded only if they name the VFS "dbrewind". */
#define DBREWIND_NO_DEFAULT_VFS 1

/* flags of dbrewind_options: full segments of the store are not made smaller in the background. */
#define DBREWIND_NO_SEAL 2

/* flags of dbrewind_rewind_options: go to the earliest moment that can be reached if the target lies before it. */
#define DBREWIND_USE_EARLIEST 1

/* kind: the mark of the name `text`. */
#define DBREWIND_TO_MARK 1

/* kind: `text` as people write it. */
#define DBREWIND_TO_TEXT 2

/* kind: the moment of `number` and `database`. */
#define DBREWIND_TO_MOMENT 3

/* kind: the newest moment at or before the time `number`. */
#define DBREWIND_TO_TIME 4

/* kind: the newest moment at or before `number` nanoseconds ago. */
#define DBREWIND_TO_AGO 5

/* kind: the present. */
#define DBREWIND_TO_NOW 6

/* journal of dbrewind_info: the database is in WAL mode. */
#define DBREWIND_IN_WAL 1

/* journal of dbrewind_info: it is in a rollback mode (DELETE, TRUNCATE, PERSIST, MEMORY, OFF). */
#define DBREWIND_IN_ROLLBACK 2

/* flags of dbrewind_mark: keep what the mark needs from being evicted, until it is dropped. */
#define DBREWIND_PIN 1

/* state: a rewind to the mark costs the same for any change. */
#define DBREWIND_HOT 1

/* state: it costs what differs. */
#define DBREWIND_ARCHIVED 2

/* state: older than what the store keeps; a rewind is refused (DBR027). */
#define DBREWIND_EVICTED 3

/* state: recording was interrupted after it (DBR011), or has stopped; a rewind is refused. */
#define DBREWIND_LOST 4

/* method: the end of the WAL was moved, whatever differed. */
#define DBREWIND_MOVED 1

/* method: the pages that differ were written. */
#define DBREWIND_WRITTEN 2

/* method: the database was in that state already. */
#define DBREWIND_NOTHING 3

/* state of dbrewind_status_info: as it should be. */
#define DBREWIND_WINDOW_OK 1

/* state of dbrewind_status_info: something younger than the target was evicted, since there was no room. */
#define DBREWIND_WINDOW_ALERT 2

/* state of dbrewind_status_info: no room for more, and nothing that may be evicted. */
#define DBREWIND_WINDOW_FULL 3

/* state of dbrewind_status_info: nothing is recorded any more. */
#define DBREWIND_WINDOW_STOPPED 4

/* how: there at the second moment only. */
#define DBREWIND_CREATED 1

/* how: there at the first moment only. */
#define DBREWIND_DROPPED 2

/* how: there at both, different. */
#define DBREWIND_CHANGED 3

/* type of dbrewind_value: SQL's NULL. */
#define DBREWIND_NULL 0

/* type of dbrewind_value: `integer`. */
#define DBREWIND_INTEGER 1

/* type of dbrewind_value: `real`. */
#define DBREWIND_REAL 2

/* type of dbrewind_value: `length` bytes of UTF-8 at `bytes`, with a NUL behind them. */
#define DBREWIND_TEXT 3

/* type of dbrewind_value: `length` bytes at `bytes`. */
#define DBREWIND_BLOB 4

/* flags of dbrewind_volume_options: the content is a new one, as of an engine in memory that has just begun; earlier marks are lost. */
#define DBREWIND_VOLUME_ANEW 1

/* The length of a record that is not there. */
#define DBREWIND_ABSENT UINT64_MAX

/* A database that is being recorded. Any thread may use it, until dbrewind_close; a later use is an error (DBR019). */
typedef struct dbrewind_db dbrewind_db;

/* What differs between two moments. The caller's, to be freed once; all that it gives stays until then. */
typedef struct dbrewind_difference dbrewind_difference;

/* Why a call failed. The caller's, to be freed once. Does not refer to any handle. */
typedef struct dbrewind_error dbrewind_error;

/* Marks, as they were when they were listed. The caller's, to be freed once. */
typedef struct dbrewind_mark_list dbrewind_mark_list;

/*
 A past moment, kept to be read. The caller's, to be freed once. While it is there, or a connection to it is, the store evicts
 nothing.
 */
typedef struct dbrewind_past dbrewind_past;

/* Pinned marks, oldest first. The caller's, to be freed once. */
typedef struct dbrewind_pin_list dbrewind_pin_list;

/* Processes, by their numbers. The caller's, to be freed once. */
typedef struct dbrewind_process_list dbrewind_process_list;

/*
 The content of an engine that is not SQLite, being recorded. Any thread may use it, until dbrewind_volume_detach; a later use is an error
 (DBR019).
 */
typedef struct dbrewind_volume dbrewind_volume;

/*
 The functions of one copy of SQLite; dbrewind_sqlite_fill() fills it. All of one copy, which stays for the life of the
 process. next_stmt and what follows may be NULL: errors say less then.
 */
typedef struct dbrewind_sqlite_api {
    /* sizeof(dbrewind_sqlite_api) */
    size_t size;
    /* sqlite3_vfs_find */
    void (*vfs_find)(void);
    /* sqlite3_vfs_register */
    void (*vfs_register)(void);
    /* sqlite3_open_v2 */
    void (*open_v2)(void);
    /* sqlite3_close */
    void (*close)(void);
    /* sqlite3_exec */
    void (*exec)(void);
    /* sqlite3_busy_timeout */
    void (*busy_timeout)(void);
    /* sqlite3_libversion_number */
    void (*libversion_number)(void);
    /* sqlite3_threadsafe; NULL: not checked */
    void (*threadsafe)(void);
    /* sqlite3_next_stmt */
    void (*next_stmt)(void);
    /* sqlite3_stmt_busy */
    void (*stmt_busy)(void);
    /* sqlite3_sql */
    void (*sql)(void);
    /* sqlite3_db_mutex */
    void (*db_mutex)(void);
    /* sqlite3_mutex_try */
    void (*mutex_try)(void);
    /* sqlite3_mutex_leave */
    void (*mutex_leave)(void);
    /* sqlite3_uri_parameter */
    void (*uri_parameter)(void);
} dbrewind_sqlite_api;

/* How a database is opened. Zero is the default everywhere. */
typedef struct dbrewind_options {
    /* sizeof(dbrewind_options) */
    size_t size;
    /* The program's SQLite. NULL: the one that the process shows. */
    const struct dbrewind_sqlite_api *sqlite;
    /* The store's folder. NULL: the one beside the database that has its name with "-rewind" behind it. */
    const char *store;
    /* The program dbrewind-keeper. NULL: looked for in PATH, when a keeper is needed. */
    const char *keeper;
    /* How long a call waits for a lock that somebody else holds, in ms. 0: 5000. Negative: not at all. */
    int64_t timeout_ms;
    /* Limit of the store in bytes, 1 MiB or more, from now on and for all who record into it. 0: as it is, 16 GiB in a new one. */
    uint64_t limit;
    /* How far back the store shall reach, in seconds, from now on and for all. 0: as it is, 72 h in a new one. */
    uint64_t window_s;
    /* DBREWIND_SYNCHRONOUS_... */
    uint32_t synchronous;
    /* DBREWIND_JOURNAL_... 0: the database keeps its mode. */
    uint32_t journal;
    /* DBREWIND_ENGINE_... */
    uint32_t engine;
    /* DBREWIND_MOMENTS_..., from now on and for all. 0: as it is. */
    uint32_t moments;
    /* DBREWIND_NO_DEFAULT_VFS | DBREWIND_NO_SEAL */
    uint32_t flags;
    /* 0 */
    uint32_t reserved;
} dbrewind_options;

/* What is known of a handle. */
typedef struct dbrewind_info {
    /* sizeof(dbrewind_info) */
    size_t size;
    /* The database file, absolute. Until dbrewind_close. */
    const char *path;
    /* The store's folder, absolute. Until dbrewind_close. */
    const char *store;
    /* DBREWIND_IN_... */
    uint32_t journal;
    /* DBREWIND_ENGINE_INSIDE or DBREWIND_ENGINE_KEEPER */
    uint32_t engine;
    /*
     Not 0: a connection of this process works with journal_mode OFF or MEMORY. If it is killed inside a transaction the database
     is torn, and its marks are lost.
     */
    int unguarded;
    /* 0 */
    uint32_t reserved;
} dbrewind_info;

/* A moment of one database. Grows with every commit and rewind of it, with gaps. May be stored. */
typedef struct dbrewind_moment {
    /* Its number among the database's. */
    uint64_t lsn;
    /* Stands for the database's path; a moment of another one is refused. 0: not known, not checked. */
    uint64_t database;
} dbrewind_moment;

/* Where to. Made by dbrewind_to_mark() and its like. Passed by value; it never changes. */
typedef struct dbrewind_target {
    /* DBREWIND_TO_... */
    uint32_t kind;
    /* 0 */
    uint32_t reserved;
    /* What the kind says. */
    uint64_t number;
    /* What the kind says. */
    uint64_t database;
    /* What the kind says. */
    const char *text;
} dbrewind_target;

/* A named moment. */
typedef struct dbrewind_mark_info {
    /* sizeof(dbrewind_mark_info) */
    size_t size;
    /* From a list: until the list is freed. From dbrewind_mark: the pointer that was passed. */
    const char *name;
    /* The moment that it names. */
    struct dbrewind_moment moment;
    /* When it was made. */
    uint64_t time;
    /* Length of the database then, in pages. */
    uint64_t pages;
    /* DBREWIND_HOT, ... */
    uint32_t state;
    /* Not 0: it keeps what it needs from being evicted. */
    int pinned;
} dbrewind_mark_info;

/* How to rewind. Zero is the default everywhere. */
typedef struct dbrewind_rewind_options {
    /* sizeof(dbrewind_rewind_options) */
    size_t size;
    /* How long to wait for others, in ms. 0: what the database was opened with. Negative: not at all. */
    int64_t timeout_ms;
    /* DBREWIND_USE_EARLIEST */
    uint32_t flags;
    /* 0 */
    uint32_t reserved;
} dbrewind_rewind_options;

/* What a rewind did. */
typedef struct dbrewind_rewound {
    /* sizeof(dbrewind_rewound) */
    size_t size;
    /* The moment whose state the database has now. */
    struct dbrewind_moment to;
    /* The moment just before: rewind to it to take the rewind back. */
    struct dbrewind_moment undo;
    /* When `to` was the newest moment for the first time. */
    uint64_t time;
    /* Pages that were written. */
    uint64_t pages;
    /* How long it took, waiting included. */
    double seconds;
    /* DBREWIND_MOVED, ... */
    uint32_t method;
    /* 0 */
    uint32_t reserved;
} dbrewind_rewound;

/* How far back the history reaches, what the store takes, and how its marks do. */
typedef struct dbrewind_status_info {
    /* sizeof(dbrewind_status_info) */
    size_t size;
    /* Bytes of the store. */
    uint64_t used;
    /* Of them, bytes of segments that are not sealed, among them room for what comes next. */
    uint64_t raw;
    /* Of them, bytes of sealed segments. */
    uint64_t sealed;
    /* Most bytes that the store may have. */
    uint64_t limit;
    /* How far back it shall reach, in seconds. */
    double target_s;
    /* How far back it does reach, in seconds. */
    double window_s;
    /* How long a window the limit holds at the present rate, in seconds. Negative: too little was recorded to tell. */
    double forecast_s;
    /* The oldest moment that can be reached. lsn 0: none. */
    struct dbrewind_moment earliest;
    /* Its time. 0: none. */
    uint64_t earliest_time;
    /* How many marks are hot. */
    uint64_t hot;
    /* How many are archived. */
    uint64_t archived;
    /* How many are evicted. */
    uint64_t evicted;
    /* How many are lost. */
    uint64_t lost;
    /* DBREWIND_WINDOW_... */
    uint32_t state;
    /* 0 */
    uint32_t reserved;
    /*
     How many other processes have the store open and were stopped (Ctrl-Z, SIGSTOP, a debugger): until they go on or end, what is old may be
     neither sealed nor evicted, and a rewind may have to wait. Those of this user, unless he may see others'.
     */
    uint32_t waits_for;
    /* The number of one of them, one that holds a lock of the store if there is such a one. 0: none. */
    uint32_t waits_for_pid;
} dbrewind_status_info;

/* A mark that keeps what it needs from being evicted. */
typedef struct dbrewind_pin_info {
    /* sizeof(dbrewind_pin_info) */
    size_t size;
    /* Its name. Until the list is freed. */
    const char *name;
    /* The moment that it names. */
    struct dbrewind_moment moment;
    /* When it was made. */
    uint64_t time;
    /* Bytes of the store that it holds. */
    uint64_t bytes;
} dbrewind_pin_info;

/* One table, index, view or trigger that differs. */
typedef struct dbrewind_schema_change {
    /* sizeof(dbrewind_schema_change) */
    size_t size;
    /* "table", "index", "view" or "trigger". */
    const char *kind;
    /* Its name. */
    const char *name;
    /* DBREWIND_CREATED, ... */
    uint32_t how;
    /* 0 */
    uint32_t reserved;
} dbrewind_schema_change;

/* One value of a key. It never changes. */
typedef struct dbrewind_value {
    /* DBREWIND_NULL, ... */
    uint32_t kind;
    /* 0 */
    uint32_t reserved;
    /* Of an integer. */
    int64_t integer;
    /* Of a floating-point number. */
    double real;
    /* Of a text or bytes. Not NULL for them. */
    const void *bytes;
    /* Of a text or bytes. */
    size_t length;
} dbrewind_value;

/* One counter that differs. */
typedef struct dbrewind_counter_change {
    /* sizeof(dbrewind_counter_change) */
    size_t size;
    /* "sqlite_sequence.users", the highest id that AUTOINCREMENT has given in the table users; "user_version", "application_id". */
    const char *name;
    /* What it was at the first moment; 0 if it was not there. */
    int64_t before;
    /* What it is at the second one; 0 if it is not there. */
    int64_t after;
    /* DBREWIND_CREATED: there at the second moment only; DBREWIND_DROPPED: at the first; DBREWIND_CHANGED: at both. */
    uint32_t how;
    /* 0 */
    uint32_t reserved;
} dbrewind_counter_change;

/*
 The content of a volume, as its engine lets it be read and written. Each function gets `user` first, and answers 0 or an errno number.

 They are called on the thread that calls a dbrewind_volume_ function, and must stay until dbrewind_volume_detach returns. They may not call
 one on any volume (DBR022), throw or longjmp. rust/docs/volumes.md says what they promise.
 */
typedef struct dbrewind_medium {
    /* sizeof(dbrewind_medium) */
    size_t size;
    /* Passed to each function. Nullable. */
    void *user;
    /* Reads so many bytes, all of them below the length. */
    int (*read)(void *user,
                uint64_t offset,
                void *to,
                size_t length);
    /* Writes so many bytes, all of them below the length. Only a rewind does. */
    int (*write)(void *user,
                 uint64_t offset,
                 const void *from,
                 size_t length);
    /* Makes the content so long, in bytes: longer, with zeros, or shorter. Only a rewind does. */
    int (*truncate)(void *user,
                    uint64_t length);
    /* How long the content is, in bytes. */
    int (*length)(void *user,
                  uint64_t *length);
    /*
     Keeps all other threads and processes from the content until unlock. EBUSY: it was not free for so many ms. Nullable, with unlock: one thread
     of one process does all.
     */
    int (*lock)(void *user,
                uint64_t timeout_ms);
    /* Lets the others go on. On the thread that locked. */
    void (*unlock)(void *user);
    /* Waits until all that was written is on the disk. Nullable: the content does not outlast a power cut. */
    int (*sync)(void *user);
    /* Puts at most `room` bytes at `to`, and their number in *length: others than before when anybody has written unrecorded. Nullable. */
    int (*stamp)(void *user,
                 uint8_t *to,
                 size_t room,
                 size_t *length);
    /* The content is another one: throw away what is cached of it. Under the lock. Nullable. */
    void (*after_rewind)(void *user,
                         uint64_t lsn);
    /*
     Puts at most `room` bytes at `to`, and their number in *length, which all who attach this content have in common, and no other content has: a second
     one under the same name is refused then (DBR004). Asked once, by dbrewind_volume_attach, before lock. Nullable: two contents are not told apart.
     */
    int (*identity)(void *user,
                    uint8_t *to,
                    size_t room,
                    size_t *length);
} dbrewind_medium;

/* How a volume is attached. Zero is the default everywhere. */
typedef struct dbrewind_volume_options {
    /* sizeof(dbrewind_volume_options) */
    size_t size;
    /* How long a call waits for a lock that somebody else holds, in ms. 0: 5000. Negative: not at all. */
    int64_t timeout_ms;
    /* Limit of the store in bytes, 1 MiB or more, from now on and for all who record into it. 0: as it is, 16 GiB in a new one. */
    uint64_t limit;
    /* How far back the store shall reach, in seconds, from now on and for all. 0: as it is, 72 h in a new one. */
    uint64_t window_s;
    /*
     DBREWIND_SYNCHRONOUS_OFF or DBREWIND_SYNCHRONOUS_NORMAL, the default: a power cut in a rewind leaves the old or the new content, if the
     medium has sync.
     */
    uint32_t synchronous;
    /* DBREWIND_VOLUME_ANEW */
    uint32_t flags;
} dbrewind_volume_options;

/*
 Content that is records of any length, 16 MiB at most, each under a number: rows, entries, buckets. As dbrewind_medium in all that both have; the
 functions get a key, any number but UINT64_MAX.
 */
typedef struct dbrewind_keyed_medium {
    /* sizeof(dbrewind_keyed_medium) */
    size_t size;
    /* Passed to each function. Nullable. */
    void *user;
    /*
     Puts the record at `to`, or as much of it as `room` bytes hold, and its whole length in *length, or DBREWIND_ABSENT if there is none. It is called
     again with more room if that was too little.
     */
    int (*read)(void *user,
                uint64_t key,
                void *to,
                size_t room,
                uint64_t *length);
    /* Makes these bytes the record, whether there is one or not. Only a rewind does. */
    int (*write)(void *user,
                 uint64_t key,
                 const void *from,
                 size_t length);
    /* Removes the record, if there is one. Only a rewind does. */
    int (*remove)(void *user,
                  uint64_t key);
    /* As in dbrewind_medium. */
    int (*lock)(void *user,
                uint64_t timeout_ms);
    /* As in dbrewind_medium. */
    void (*unlock)(void *user);
    /* As in dbrewind_medium. */
    int (*sync)(void *user);
    /* As in dbrewind_medium. */
    int (*stamp)(void *user,
                 uint8_t *to,
                 size_t room,
                 size_t *length);
    /* As in dbrewind_medium. */
    void (*after_rewind)(void *user,
                         uint64_t lsn);
    /* As in dbrewind_medium. */
    int (*identity)(void *user,
                    uint8_t *to,
                    size_t room,
                    size_t *length);
} dbrewind_keyed_medium;

/* Another process that has the store open. */
typedef struct dbrewind_process_info {
    /* sizeof(dbrewind_process_info) */
    size_t size;
    /* What the system calls it. Until the list is freed. */
    const char *name;
    /* Which of the store's locks it holds, in words, with ", " between them; "" for none. Until the list is freed. */
    const char *holds;
    /* Its number. */
    uint32_t pid;
    /* 1: it was stopped (Ctrl-Z, SIGSTOP, a debugger). */
    uint32_t stopped;
} dbrewind_process_info;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/* DBREWIND_ABI_VERSION of the library, to be compared with the header's. */
uint32_t dbrewind_abi_version(void);

/* The library's version, "0.1.0". For ever. */
const char *dbrewind_version(void);

/* A code as text, "DBR003"; NULL for a number of no known code, 0 included. For ever. */
const char *dbrewind_code_text(int code);

/* A code in a few words, "No such mark"; NULL for a number of no known code. For ever. */
const char *dbrewind_code_title(int code);

/* What a code means, and what helps; NULL for a number of no known code. For ever. */
const char *dbrewind_code_explanation(int code);

/* The number of its DBR code; 0 for NULL. */
int dbrewind_error_code(const struct dbrewind_error *error);

/* What happened, why, and what helps, behind the code in brackets. Until the error is freed. "" for NULL. */
const char *dbrewind_error_text(const struct dbrewind_error *error);

/*
 A detail by its name: "name" and "nearest" of DBR003, "name" of DBR023, "holder" and "waited" (seconds) of DBR004,
 "earliest" (nanoseconds since 1970) of DBR027. NULL if there is none. Until the error is freed.
 */
const char *dbrewind_error_detail(const struct dbrewind_error *error,
                                  const char *name);

/* Frees an error. NULL is allowed. */
void dbrewind_error_free(struct dbrewind_error *error);

/*
 Attaches to the existing database at a path and records it from now on.

 options: nullable. In the rollback modes connections must be opened after this call, through the same SQLite.
 *db: the handle; NULL after an error.
 */
int dbrewind_open(const char *path,
                  const struct dbrewind_options *options,
                  struct dbrewind_db **db,
                  struct dbrewind_error **error);

/*
 Stops recording. Marks stay valid until somebody writes unrecorded. Waits for calls of other threads on the handle.

 db: nullable. The handle is closed after an error, too: the last commits could not be recorded then. Objects that it gave stay.
 */
int dbrewind_close(struct dbrewind_db *db,
                   struct dbrewind_error **error);

/* What is known of a handle. */
int dbrewind_get_info(const struct dbrewind_db *db,
                      struct dbrewind_info *info,
                      struct dbrewind_error **error);

/* The present moment: the newest commit or rewind. */
int dbrewind_now(const struct dbrewind_db *db,
                 struct dbrewind_moment *now,
                 struct dbrewind_error **error);

/* Whether anything was committed since a moment: *dirty is 1 or 0. Takes the same time for any change. */
int dbrewind_dirty_since(const struct dbrewind_db *db,
                         struct dbrewind_target to,
                         int *dirty,
                         struct dbrewind_error **error);

/*
 xxh3-128 of every page, but for the bytes that move forward: equal digests, equal databases. Reads the whole file.

 digest: 16 bytes.
 */
int dbrewind_digest(const struct dbrewind_db *db,
                    uint8_t *digest,
                    struct dbrewind_error **error);

/*
 Names the present moment. A rewind never consumes a mark.

 flags: 0 or DBREWIND_PIN. mark: nullable.
 */
int dbrewind_mark(const struct dbrewind_db *db,
                  const char *name,
                  uint32_t flags,
                  struct dbrewind_mark_info *mark,
                  struct dbrewind_error **error);

/* Forgets a mark. The history stays. */
int dbrewind_drop(const struct dbrewind_db *db,
                  const char *name,
                  struct dbrewind_error **error);

/* All marks, oldest first. *marks: to be freed with dbrewind_mark_list_free; NULL after an error. */
int dbrewind_marks(const struct dbrewind_db *db,
                   struct dbrewind_mark_list **marks,
                   struct dbrewind_error **error);

/* How many there are; 0 for NULL. */
size_t dbrewind_mark_list_count(const struct dbrewind_mark_list *marks);

/* The one at a place, 0 to count - 1. Answers 0, or DBREWIND_INVALID_ARGUMENT: no such place, or a wrong size. */
int dbrewind_mark_list_get(const struct dbrewind_mark_list *marks,
                           size_t place,
                           struct dbrewind_mark_info *mark);

/* Frees a list. NULL is allowed. */
void dbrewind_mark_list_free(struct dbrewind_mark_list *marks);

/*
 Makes the database what it was at a moment, earlier or later than now, in place. Every connection, in any process, stays open.

 how: nullable. rewound: nullable. The rewind is recorded, too; rewinding to rewound->undo takes it back. Waits for open
 write transactions, and in the rollback modes for readers.
 */
int dbrewind_rewind(const struct dbrewind_db *db,
                    struct dbrewind_target to,
                    const struct dbrewind_rewind_options *how,
                    struct dbrewind_rewound *rewound,
                    struct dbrewind_error **error);

/*
 How far back the history reaches, what the store takes, and how its marks do.

 pins: nullable; *pins is to be freed with dbrewind_pin_list_free, and NULL after an error.
 */
int dbrewind_status(const struct dbrewind_db *db,
                    struct dbrewind_status_info *status,
                    struct dbrewind_pin_list **pins,
                    struct dbrewind_error **error);

/* How many there are; 0 for NULL. */
size_t dbrewind_pin_list_count(const struct dbrewind_pin_list *pins);

/* The one at a place, 0 to count - 1. Answers 0, or DBREWIND_INVALID_ARGUMENT: no such place, or a wrong size. */
int dbrewind_pin_list_get(const struct dbrewind_pin_list *pins,
                          size_t place,
                          struct dbrewind_pin_info *pin);

/* Frees a list. NULL is allowed. */
void dbrewind_pin_list_free(struct dbrewind_pin_list *pins);

/*
 The database as it was at a moment, beside the live one: nothing is copied, nothing moves, nobody waits.

 Open dbrewind_past_uri() with sqlite3_open_v2 and SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, through the SQLite that the handle
 was opened with. Such a connection reads the same until the handle is closed, then its reads fail; dbrewind_past_failure() says
 why. *past: to be freed with dbrewind_past_free; NULL after an error. DBR021 where recording runs in the keeper.
 */
int dbrewind_at(const struct dbrewind_db *db,
                struct dbrewind_target to,
                struct dbrewind_past **past,
                struct dbrewind_error **error);

/* What SQLite opens. Until it is freed. "" for NULL. */
const char *dbrewind_past_uri(const struct dbrewind_past *past);

/* The moment; zeros for NULL. */
struct dbrewind_moment dbrewind_past_moment(const struct dbrewind_past *past);

/* When it was; 0 for NULL. */
uint64_t dbrewind_past_time(const struct dbrewind_past *past);

/*
 Why the newest read of the moment that failed did so: SQLite says no more than SQLITE_IOERR or SQLITE_CANTOPEN. Until it is
 freed. NULL when none has failed, and for NULL.
 */
const char *dbrewind_past_failure(const struct dbrewind_past *past);

/* Keeps the moment no longer. Connections that are open go on. NULL is allowed. */
void dbrewind_past_free(struct dbrewind_past *past);

/*
 Copies the database as it was at a moment into a new file, a plain SQLite database, while others read and write.

 The file has its name when it is complete and on disk; after an error there is none. DBR022 if there is a file at the path.
 */
int dbrewind_clone(const struct dbrewind_db *db,
                   struct dbrewind_target to,
                   const char *file,
                   struct dbrewind_error **error);

/*
 Which rows, parts of the schema and counters differ between two moments. Costs what has changed.

 to: dbrewind_to_now() for the present. *difference: to be freed with dbrewind_difference_free; NULL after an error.
 */
int dbrewind_diff(const struct dbrewind_db *db,
                  struct dbrewind_target from,
                  struct dbrewind_target to,
                  struct dbrewind_difference **difference,
                  struct dbrewind_error **error);

/* The first moment; zeros for NULL. */
struct dbrewind_moment dbrewind_difference_before(const struct dbrewind_difference *difference);

/* The second moment; zeros for NULL. */
struct dbrewind_moment dbrewind_difference_after(const struct dbrewind_difference *difference);

/* How many pages were read for it. */
uint64_t dbrewind_difference_pages_read(const struct dbrewind_difference *difference);

/* For people, a line for each table: "users: 2 inserted (7, 9), 1 updated (3)". "" for NULL. */
const char *dbrewind_difference_text(const struct dbrewind_difference *difference);

/* How many tables, indexes, views and triggers differ. */
size_t dbrewind_difference_schema_count(const struct dbrewind_difference *difference);

/* The one at a place, 0 to count - 1. Answers 0, or DBREWIND_INVALID_ARGUMENT: no such place, or a wrong size. */
int dbrewind_difference_schema_get(const struct dbrewind_difference *difference,
                                   size_t place,
                                   struct dbrewind_schema_change *change);

/* How many tables have rows that differ. */
size_t dbrewind_difference_table_count(const struct dbrewind_difference *difference);

/* The name of the table at a place, 0 to count - 1; NULL: no such place. */
const char *dbrewind_difference_table_name(const struct dbrewind_difference *difference,
                                           size_t table);

/* How many of its rows were inserted (how: DBREWIND_CREATED), deleted (DBREWIND_DROPPED) or updated (DBREWIND_CHANGED). */
size_t dbrewind_difference_row_count(const struct dbrewind_difference *difference,
                                     size_t table,
                                     uint32_t how);

/*
 The key of one of these rows: its rowid, or the primary key of a table without one. NULL: no such place.

 *count: nullable; how many values the key has.
 */
const struct dbrewind_value *dbrewind_difference_row(const struct dbrewind_difference *difference,
                                                     size_t table,
                                                     uint32_t how,
                                                     size_t row,
                                                     size_t *count);

/* Frees it. NULL is allowed. */
void dbrewind_difference_free(struct dbrewind_difference *difference);

/* How many counters differ. */
size_t dbrewind_difference_counter_count(const struct dbrewind_difference *difference);

/* The one at a place, 0 to count - 1. Answers 0, or DBREWIND_INVALID_ARGUMENT: no such place, or a wrong size. */
int dbrewind_difference_counter_get(const struct dbrewind_difference *difference,
                                    size_t place,
                                    struct dbrewind_counter_change *change);

/*
 Sets what this thread's waits for somebody else ask, about every 50 ms: when the hook answers other than 0, the call ends with
 DBR026, and nothing has happened. dbrewind_close does not ask.

 hook: nullable, for none. It must return: no exception, no longjmp, no call that waits for the same handle. data: passed to it,
 nullable; must stay until another hook is set, or the thread makes no more calls.
 */
void dbrewind_interrupt_hook(int (*hook)(void *data),
                             void *data);

/*
 Attaches to the volume of a name, with its history in a folder, which is made if there is none. Its content is recorded from now on.

 block_size: a power of two from 16 to 1048576, the same for ever. options: nullable. *volume: the handle; NULL after an error.
 The lock is taken. DBREWIND_VOLUME_ANEW while others have the volume attached is DBR004; so is a medium whose identity is another than that of the content
 which others have attached under the name. What a process has left that died within a change or a rewind is settled.
 */
int dbrewind_volume_attach(const char *store,
                           const char *name,
                           uint32_t block_size,
                           const struct dbrewind_medium *medium,
                           const struct dbrewind_volume_options *options,
                           struct dbrewind_volume **volume,
                           struct dbrewind_error **error);

/*
 Ends recording. Marks stay valid until somebody writes unrecorded. Takes the lock.

 volume: nullable. The handle is detached after an error, too. Calls that run on other threads must have returned.
 */
int dbrewind_volume_detach(struct dbrewind_volume *volume,
                           struct dbrewind_error **error);

/*
 Lets go of a volume without calling its medium: what is in flight is left as by a process that was killed, and settled by whoever enters it next. For an
 engine whose content goes away before its volume. Later calls are an error (DBR019), as after dbrewind_volume_detach.

 volume: nullable. Calls that run on other threads must have returned.
 */
int dbrewind_volume_abandon(struct dbrewind_volume *volume,
                            struct dbrewind_error **error);

/*
 Forgets a volume: its marks are dropped, pinned ones too, and its history no longer keeps the store from evicting. Whoever attaches to the name later begins
 anew.

 DBR004 while somebody has it attached, DBR022 if there is none. store: as in dbrewind_volume_attach.
 */
int dbrewind_volume_forget(const char *store,
                           const char *name,
                           struct dbrewind_error **error);

/*
 Begins to use the content, reading included: with the lock held, first thing. Settles what a dead process has left; calls after_rewind if
 anybody has rewound since. After an error do not read the content.
 */
int dbrewind_volume_enter(const struct dbrewind_volume *volume,
                          struct dbrewind_error **error);

/*
 Says that so many bytes are about to be written, also past the end: with the lock held, before the write.

 After an error recording has stopped, and all marks are lost; the write may go ahead. Unless it is refused for what it is (DBR019,
 DBR020, DBR022), or enter has failed: then nothing may be written.
 */
int dbrewind_volume_will_write(const struct dbrewind_volume *volume,
                               uint64_t offset,
                               uint64_t length,
                               struct dbrewind_error **error);

/*
 The same from an engine that has the present content at hand: `old` is what stands at `offset` and behind it, as far as the content goes. Blocks that it
 covers are not read: it is believed.

 old: nullable if old_length is 0.
 */
int dbrewind_volume_will_write_with(const struct dbrewind_volume *volume,
                                    uint64_t offset,
                                    uint64_t length,
                                    const void *old,
                                    uint64_t old_length,
                                    struct dbrewind_error **error);

/* Says that the content is about to get this length, in bytes: as dbrewind_volume_will_write. */
int dbrewind_volume_will_truncate(const struct dbrewind_volume *volume,
                                  uint64_t length,
                                  struct dbrewind_error **error);

/* Says that a change is complete: with the lock held, after the last write. now: nullable; the new moment, or the newest one if nothing has changed. */
int dbrewind_volume_commit(const struct dbrewind_volume *volume,
                           struct dbrewind_moment *now,
                           struct dbrewind_error **error);

/*
 Names the newest moment. Takes the lock.

 flags: 0 or DBREWIND_PIN. mark: nullable; `pages` are blocks.
 */
int dbrewind_volume_mark(const struct dbrewind_volume *volume,
                         const char *name,
                         uint32_t flags,
                         struct dbrewind_mark_info *mark,
                         struct dbrewind_error **error);

/* All marks, oldest first; `pages` are blocks. *marks: to be freed with dbrewind_mark_list_free; NULL after an error. */
int dbrewind_volume_marks(const struct dbrewind_volume *volume,
                          struct dbrewind_mark_list **marks,
                          struct dbrewind_error **error);

/* Forgets a mark. The history stays. */
int dbrewind_volume_drop(const struct dbrewind_volume *volume,
                         const char *name,
                         struct dbrewind_error **error);

/*
 Makes the content what it was at a mark or a moment, earlier or later than now, in place. Takes the lock.

 how: nullable. rewound: nullable; `pages` are blocks. Rewinding to rewound->undo takes it back.
 */
int dbrewind_volume_rewind(const struct dbrewind_volume *volume,
                           struct dbrewind_target to,
                           const struct dbrewind_rewind_options *how,
                           struct dbrewind_rewound *rewound,
                           struct dbrewind_error **error);

/* The newest moment: of the newest commit or rewind. */
int dbrewind_volume_now(const struct dbrewind_volume *volume,
                        struct dbrewind_moment *now,
                        struct dbrewind_error **error);

/* Whether anything was committed since a mark or a moment: *dirty is 1 or 0. Takes the same time for any change. */
int dbrewind_volume_dirty_since(const struct dbrewind_volume *volume,
                                struct dbrewind_target to,
                                int *dirty,
                                struct dbrewind_error **error);

/*
 Attaches to the volume of a name, the content of which is records under keys; as dbrewind_volume_attach in all else. One with blocks and the same name
 is another volume.
 */
int dbrewind_volume_attach_keyed(const char *store,
                                 const char *name,
                                 const struct dbrewind_keyed_medium *medium,
                                 const struct dbrewind_volume_options *options,
                                 struct dbrewind_volume **volume,
                                 struct dbrewind_error **error);

/*
 Says that the record under a key is about to be inserted, changed or removed: with the lock held, before it is. Errors as those of
 dbrewind_volume_will_write.
 */
int dbrewind_volume_will_change(const struct dbrewind_volume *volume,
                                uint64_t key,
                                struct dbrewind_error **error);

/*
 The same from an engine that has the present record at hand, which is not read then: it is believed.

 old_length: DBREWIND_ABSENT if there is none. old: nullable if there are no bytes.
 */
int dbrewind_volume_will_change_with(const struct dbrewind_volume *volume,
                                     uint64_t key,
                                     const void *old,
                                     uint64_t old_length,
                                     struct dbrewind_error **error);

/*
 Attaches to the volume of a name whose content is a file, which is made if there is none. For programs that need no more than bytes in a file: instead of
 writing functions for dbrewind_volume_attach they read and write through the handle.

 store, name, block_size, options, *volume: as in dbrewind_volume_attach. The handle goes to all dbrewind_volume functions but those by which an engine
 tells what it does (enter, will_write, will_truncate, will_change, commit: DBR022).
 The file is locked (flock) while a change lasts; it may be attached in many processes. Who writes to it in another way writes unrecorded. Another file under
 the name while others have it attached is DBR004.
 */
int dbrewind_volume_attach_file(const char *store,
                                const char *name,
                                uint32_t block_size,
                                const char *file,
                                const struct dbrewind_volume_options *options,
                                struct dbrewind_volume **volume,
                                struct dbrewind_error **error);

/*
 Begins a change of the file, or a look at it: locks it, for at most the timeout of the options. Until dbrewind_file_end on the same thread nobody else reads or writes.

 DBR004 when it is not free in time. DBR022 when the thread has begun already. Then nothing has begun. Until the end a mark or a rewind of this thread's is
 DBR004 at once: its own change is open.
 */
int dbrewind_file_begin(const struct dbrewind_volume *volume,
                        struct dbrewind_error **error);

/*
 Reads at most `length` bytes from an offset. Between begin and end.

 *count: how many there are, fewer at the end of the file; 0 after an error.
 */
int dbrewind_file_read(const struct dbrewind_volume *volume,
                       uint64_t offset,
                       void *to,
                       uint64_t length,
                       uint64_t *count,
                       struct dbrewind_error **error);

/*
 Writes bytes at an offset; past the end the file grows, with zeros where nothing is written. Between begin and end.

 After DBR025 the file could not be written, perhaps in part. After any other error nothing is written.
 */
int dbrewind_file_write(const struct dbrewind_volume *volume,
                        uint64_t offset,
                        const void *from,
                        uint64_t length,
                        struct dbrewind_error **error);

/* Makes the file so long, in bytes: longer, with zeros, or shorter. Between begin and end. Errors as of dbrewind_file_write. */
int dbrewind_file_truncate(const struct dbrewind_volume *volume,
                           uint64_t length,
                           struct dbrewind_error **error);

/* How long the file is, in bytes. Between begin and end. */
int dbrewind_file_length(const struct dbrewind_volume *volume,
                         uint64_t *length,
                         struct dbrewind_error **error);

/*
 Ends this thread's change: what it wrote is a moment, and the file is free. Nothing is taken back; a rewind does that. Not synced: dbrewind_volume_detach
 does, which also ends a change that was left open.

 now: nullable; the new moment, or the newest one if nothing was written. After an error the change is over, too, but for DBR022: none had begun.
 */
int dbrewind_file_end(const struct dbrewind_volume *volume,
                      struct dbrewind_moment *now,
                      struct dbrewind_error **error);

/*
 As dbrewind_status, of a volume: how far back its history reaches, and how its marks do; the bytes and the limit are those of the store with all that is
 recorded into it. Without the lock; also when recording has stopped.

 pins: nullable; *pins is to be freed with dbrewind_pin_list_free, and NULL after an error.
 */
int dbrewind_volume_status(const struct dbrewind_volume *volume,
                           struct dbrewind_status_info *status,
                           struct dbrewind_pin_list **pins,
                           struct dbrewind_error **error);

/*
 The processes that `waits_for` of dbrewind_status_info counts.

 *processes: to be freed with dbrewind_process_list_free; NULL after an error.
 */
int dbrewind_waits_for(const struct dbrewind_db *db,
                       struct dbrewind_process_list **processes,
                       struct dbrewind_error **error);

/*
 As dbrewind_waits_for, of the store that a volume is recorded into.

 *processes: to be freed with dbrewind_process_list_free; NULL after an error.
 */
int dbrewind_volume_waits_for(const struct dbrewind_volume *volume,
                              struct dbrewind_process_list **processes,
                              struct dbrewind_error **error);

/* How many there are; 0 for NULL. */
size_t dbrewind_process_list_count(const struct dbrewind_process_list *processes);

/* The one at a place, 0 to count - 1. Answers 0, or DBREWIND_INVALID_ARGUMENT: no such place, or a wrong size. */
int dbrewind_process_list_get(const struct dbrewind_process_list *processes,
                              size_t place,
                              struct dbrewind_process_info *process);

/* Frees a list. NULL is allowed. */
void dbrewind_process_list_free(struct dbrewind_process_list *processes);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

/* An empty struct that begins with its size. */
#ifdef __cplusplus
template <typename T>
static inline T dbrewind_init() {
    T empty = T();
    empty.size = sizeof empty;
    return empty;
}
#define DBREWIND_INIT(name) dbrewind_init<decltype(name)>()
#else
#define DBREWIND_INIT(name) {.size = sizeof(name)}
#endif

/* The targets of dbrewind_rewind and others. */

static inline dbrewind_target dbrewind_target_of(uint32_t kind, uint64_t number, uint64_t database, const char *text) {
    dbrewind_target target;
    target.kind = kind;
    target.reserved = 0;
    target.number = number;
    target.database = database;
    target.text = text;
    return target;
}

/* A mark, by its name, whatever it reads as. */
static inline dbrewind_target dbrewind_to_mark(const char *name) {
    return dbrewind_target_of(DBREWIND_TO_MARK, 0, 0, name);
}

/* Text as people write it: "5 minutes ago", "2026-11-22T07:48:00Z", or else a mark's name. */
static inline dbrewind_target dbrewind_to_text(const char *text) {
    return dbrewind_target_of(DBREWIND_TO_TEXT, 0, 0, text);
}

/* A moment that a mark, a rewind or dbrewind_now gave. To the .undo of a rewind: it is taken back. */
static inline dbrewind_target dbrewind_to_moment(dbrewind_moment moment) {
    return dbrewind_target_of(DBREWIND_TO_MOMENT, moment.lsn, moment.database, NULL);
}

/* The newest moment at or before a time, in nanoseconds since 1970-01-01 UTC. */
static inline dbrewind_target dbrewind_to_time(uint64_t nanoseconds) {
    return dbrewind_target_of(DBREWIND_TO_TIME, nanoseconds, 0, NULL);
}

/* The newest moment at or before the time so many nanoseconds ago. */
static inline dbrewind_target dbrewind_to_ago(uint64_t nanoseconds) {
    return dbrewind_target_of(DBREWIND_TO_AGO, nanoseconds, 0, NULL);
}

/* The present. */
static inline dbrewind_target dbrewind_to_now(void) {
    return dbrewind_target_of(DBREWIND_TO_NOW, 0, 0, NULL);
}

/* With sqlite3.h (or sqlite3ext.h) included before this header: the functions of the SQLite that this file is compiled with. In
 * an extension call it after SQLITE_EXTENSION_INIT2. */
#if defined(SQLITE_VERSION_NUMBER)
static inline void dbrewind_sqlite_fill(dbrewind_sqlite_api *table) {
    table->size = sizeof *table;
    table->vfs_find = (void (*)(void))sqlite3_vfs_find;
    table->vfs_register = (void (*)(void))sqlite3_vfs_register;
    table->open_v2 = (void (*)(void))sqlite3_open_v2;
    table->close = (void (*)(void))sqlite3_close;
    table->exec = (void (*)(void))sqlite3_exec;
    table->busy_timeout = (void (*)(void))sqlite3_busy_timeout;
    table->libversion_number = (void (*)(void))sqlite3_libversion_number;
    table->threadsafe = (void (*)(void))sqlite3_threadsafe;
    table->next_stmt = (void (*)(void))sqlite3_next_stmt;
    table->stmt_busy = (void (*)(void))sqlite3_stmt_busy;
    table->sql = (void (*)(void))sqlite3_sql;
    table->db_mutex = (void (*)(void))sqlite3_db_mutex;
    table->mutex_try = (void (*)(void))sqlite3_mutex_try;
    table->mutex_leave = (void (*)(void))sqlite3_mutex_leave;
    table->uri_parameter = (void (*)(void))sqlite3_uri_parameter;
}
#endif

#endif /* DBREWIND_H */
