//! stub
pub struct Supervisor;
pub enum State {
    Starting,
}
