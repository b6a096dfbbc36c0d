//! A shop: customers, orders with their items, stock, and events that say in JSON what happened.

use rusqlite::{Connection, params};

use crate::random::Random;
use crate::text::Text;

const SCHEMA: &str = "
    CREATE TABLE customer(id INTEGER PRIMARY KEY, email TEXT, name TEXT, street TEXT, city TEXT, joined INTEGER);
    CREATE TABLE product(id INTEGER PRIMARY KEY, name TEXT, about TEXT, cents INTEGER, stock INTEGER, sold INTEGER);
    CREATE TABLE orders(id INTEGER PRIMARY KEY, customer INTEGER, placed INTEGER, state TEXT, cents INTEGER);
    CREATE TABLE item(orders INTEGER, product INTEGER, count INTEGER, cents INTEGER);
    CREATE TABLE event(id INTEGER PRIMARY KEY, at INTEGER, kind TEXT, customer INTEGER, detail TEXT);
    CREATE INDEX customer_email ON customer(email);
    CREATE INDEX orders_customer ON orders(customer);
    CREATE INDEX item_orders ON item(orders);
    CREATE INDEX event_customer ON event(customer);";

const STATES: [&str; 4] = ["placed", "paid", "packed", "sent"];

/// A shop that is open.
pub(crate) struct Shop<'a> {
    app: &'a Connection,
    text: Text,
    random: Random,
    customers: u64,
    products: u64,
    orders: u64,
    now: u64,
}

impl<'a> Shop<'a> {
    /// A shop with some past: customers, products, and orders that were sent.
    pub(crate) fn new(app: &'a Connection, customers: u64) -> Self {
        app.execute_batch(SCHEMA).unwrap();
        let (text, random) = (Text::new(), Random(3));
        let mut shop = Self { app, text, random, customers: 0, products: 0, orders: 0, now: 1_763_000_000 };
        app.execute_batch("BEGIN").unwrap();
        for _ in 0..customers / 4 {
            shop.add_product();
        }
        for _ in 0..customers {
            shop.add_customer();
        }
        for _ in 0..customers * 2 {
            shop.order();
        }
        app.execute_batch("UPDATE orders SET state = 'sent'; COMMIT").unwrap();
        shop
    }

    /// What happens next, in one transaction.
    pub(crate) fn step(&mut self) {
        self.app.execute_batch("BEGIN").unwrap();
        self.now += self.random.below(40);
        match self.random.below(20) {
            0..8 => self.order(),
            8..15 => self.send_on(),
            15..17 => self.look_around(),
            17 => self.move_house(),
            18 => self.add_customer(),
            _ => self.restock(),
        }
        self.app.execute_batch("COMMIT").unwrap();
    }

    fn add_product(&mut self) {
        self.products += 1;
        let name = self.text.words(3, &mut self.random);
        let about = self.text.sentences(3, &mut self.random).concat();
        let (cents, stock) = (100 + self.random.below(9000), self.random.below(500));
        let sql = "INSERT INTO product VALUES(?1, ?2, ?3, ?4, ?5, 0)";
        self.run(sql, params![self.products as i64, name, about, cents as i64, stock as i64]);
    }

    fn add_customer(&mut self) {
        self.customers += 1;
        let name = self.text.words(2, &mut self.random);
        let email = format!("{}.{}@example.org", name.replace(' ', "."), self.customers);
        let (street, city) = self.address();
        let sql = "INSERT INTO customer VALUES(?1, ?2, ?3, ?4, ?5, ?6)";
        self.run(sql, params![self.customers as i64, email, name, street, city, self.now as i64]);
        self.event("joined", self.customers, &format!("\"from\":\"{city}\""));
    }

    fn address(&mut self) -> (String, String) {
        let street = self.text.words(2, &mut self.random);
        let city = self.text.word(&mut self.random).to_owned();
        (format!("{street} {}", 1 + self.random.below(200)), city)
    }

    /// One to four products, which leave the stock.
    fn order(&mut self) {
        self.orders += 1;
        let customer = 1 + self.random.below(self.customers);
        let (mut sum, mut bought) = (0, Vec::new());
        for _ in 0..1 + self.random.below(4) {
            // Some products are sold more often than others.
            let product = 1 + self.random.below(self.products).min(self.random.below(self.products));
            let (count, cents) = (1 + self.random.below(3), 100 + product * 7 % 9000);
            sum += count * cents;
            bought.push(format!("{{\"product\":{product},\"count\":{count}}}"));
            let sql = "INSERT INTO item VALUES(?1, ?2, ?3, ?4)";
            self.run(sql, params![self.orders as i64, product as i64, count as i64, cents as i64]);
            let sql = "UPDATE product SET stock = max(0, stock - ?2), sold = sold + ?2 WHERE id = ?1";
            self.run(sql, params![product as i64, count as i64]);
        }
        let sql = "INSERT INTO orders VALUES(?1, ?2, ?3, 'placed', ?4)";
        self.run(sql, params![self.orders as i64, customer as i64, self.now as i64, sum as i64]);
        let detail = format!("\"order\":{},\"cents\":{sum},\"items\":[{}]", self.orders, bought.join(","));
        self.event("ordered", customer, &detail);
    }

    /// One of the newer orders gets its next state.
    fn send_on(&mut self) {
        let order = self.orders - self.random.below(self.orders.min(300));
        let state = STATES.get(1 + self.random.below(3) as usize).copied().unwrap_or_default();
        self.run("UPDATE orders SET state = ?2 WHERE id = ?1", params![order as i64, state]);
        let customer =
            self.app.query_row("SELECT customer FROM orders WHERE id = ?1", [order as i64], |row| {
                row.get::<_, i64>(0)
            });
        self.event(state, customer.unwrap().cast_unsigned(), &format!("\"order\":{order}"));
    }

    fn look_around(&mut self) {
        let customer = 1 + self.random.below(self.customers);
        let (product, seconds) = (1 + self.random.below(self.products), self.random.below(600));
        self.event("looked", customer, &format!("\"product\":{product},\"seconds\":{seconds}"));
    }

    fn move_house(&mut self) {
        let customer = 1 + self.random.below(self.customers);
        let (street, city) = self.address();
        let sql = "UPDATE customer SET street = ?2, city = ?3 WHERE id = ?1";
        self.run(sql, params![customer as i64, street, city]);
        self.event("moved", customer, &format!("\"to\":\"{city}\""));
    }

    /// A delivery of ten products.
    fn restock(&mut self) {
        let first = 1 + self.random.below(self.products);
        let count = 20 + self.random.below(200);
        let sql = "UPDATE product SET stock = stock + ?3 WHERE id BETWEEN ?1 AND ?2";
        self.run(sql, params![first as i64, (first + 9) as i64, count as i64]);
        self.event("delivered", 0, &format!("\"first\":{first},\"count\":{count}"));
    }

    fn event(&mut self, kind: &str, customer: u64, detail: &str) {
        let session = self.random.below(1 << 32);
        let detail = format!("{{\"kind\":\"{kind}\",\"session\":\"{session:08x}\",{detail}}}");
        let sql = "INSERT INTO event(at, kind, customer, detail) VALUES(?1, ?2, ?3, ?4)";
        self.run(sql, params![self.now as i64, kind, customer as i64, detail]);
    }

    fn run(&self, sql: &str, values: &[&dyn rusqlite::ToSql]) {
        self.app.prepare_cached(sql).unwrap().execute(values).unwrap();
    }
}
