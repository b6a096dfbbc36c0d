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
