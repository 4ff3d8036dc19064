//! What a good Rust developer would write instead of an engine: tokio and tokio-tungstenite.
//!
//! One runtime on one thread, a broadcast channel per room, two tasks per connection. The usual mistakes are
//! avoided: each message is encoded once and shared, a writer takes all that waits before it flushes, and
//! buffers are 4 KiB instead of tungstenite's 128 KiB. One room per connection.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use clap::Parser;
use fanfare_bench::wire::{self, Command};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, mpsc};
use tokio_tungstenite::WebSocketStream;
use tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, Utf8Bytes};

/// Messages a receiver may be behind before it is disconnected.
const CHANNEL_MESSAGES: usize = 4_096;
/// Read and write buffer of each connection in bytes.
const BUFFER_BYTES: usize = 4 * 1024;

/// A broadcast server on tokio-tungstenite.
#[derive(Debug, Parser)]
struct Args {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:8082")]
    listen: SocketAddr,
}

struct Room {
    offset: u64,
    sender: broadcast::Sender<Utf8Bytes>,
}

type Rooms = Rc<RefCell<HashMap<String, Room>>>;

/// What a connection's reader tells its writer.
enum Order {
    Send(Utf8Bytes),
    /// Say that the join is done, then send what the room gets.
    Join(Utf8Bytes, broadcast::Receiver<Utf8Bytes>),
}

fn main() -> io::Result<()> {
    let args = Args::parse();
    fanfare_bench::raise_open_files();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, serve(args.listen))
}

async fn serve(addr: SocketAddr) -> io::Result<()> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(addr), socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(4_096)?;
    let listener = TcpListener::from_std(socket.into())?;
    fanfare_bench::baseline::announce(listener.local_addr()?);
    let rooms = Rooms::default();
    loop {
        // Out of descriptors, most likely: give others time to go.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        tokio::task::spawn_local(connection(stream, Rc::clone(&rooms)));
    }
}

/// Upgrades, then reads here and writes in a second task.
async fn connection(stream: TcpStream, rooms: Rooms) {
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_message_size(Some(256 * 1024));
    let _ = stream.set_nodelay(true);
    let Ok(socket) =
        tokio_tungstenite::accept_hdr_async_with_config(stream, first_subprotocol, Some(config)).await
    else {
        return;
    };
    let (sink, stream) = socket.split();
    let (orders, inbox) = mpsc::channel(256);
    let _ = orders.try_send(Order::Send(wire::welcome().into()));
    tokio::task::spawn_local(write(sink, inbox));
    read(stream, orders, rooms).await;
}

/// Answers with the first subprotocol that was offered. The signature is tungstenite's.
#[expect(clippy::result_large_err, reason = "tungstenite's callback returns a whole response as its error")]
#[expect(clippy::unnecessary_wraps, reason = "tungstenite's callback may refuse, this one never does")]
fn first_subprotocol(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    const NAME: &str = "sec-websocket-protocol";
    let offered = request.headers().get(NAME).and_then(|value| value.to_str().ok());
    let first =
        offered.and_then(|offered| offered.split(',').next()).and_then(|name| name.trim().parse().ok());
    if let Some(first) = first {
        response.headers_mut().insert(NAME, first);
    }
    Ok(response)
}

async fn read(
    mut stream: SplitStream<WebSocketStream<TcpStream>>,
    orders: mpsc::Sender<Order>,
    rooms: Rooms,
) {
    while let Some(Ok(message)) = stream.next().await {
        let Message::Text(text) = message else { continue };
        let Ok(command) = Command::read(text.as_bytes()) else { return };
        let order = match command.kind {
            "join" => with_room(&rooms, command.room, |room| {
                Order::Join(wire::joined(&command, room.offset).into(), room.sender.subscribe())
            }),
            "publish" => with_room(&rooms, command.room, |room| {
                room.offset += 1;
                // No receiver is no error here.
                let _ = room.sender.send(wire::message(&command, room.offset).into());
                Order::Send(wire::published(&command, room.offset).into())
            }),
            _ => Order::Send(wire::refused(&command).into()),
        };
        if orders.send(order).await.is_err() {
            return;
        }
    }
}

fn with_room<T>(rooms: &Rooms, name: &str, act: impl FnOnce(&mut Room) -> T) -> T {
    let mut rooms = rooms.borrow_mut();
    if let Some(room) = rooms.get_mut(name) {
        return act(room);
    }
    let room = Room { offset: 0, sender: broadcast::channel(CHANNEL_MESSAGES).0 };
    act(rooms.entry(name.to_owned()).or_insert(room))
}

type Sink = SplitSink<WebSocketStream<TcpStream>, Message>;

/// Writes until the reader or the socket is gone, or the room ran away.
async fn write(mut sink: Sink, mut orders: mpsc::Receiver<Order>) {
    let mut room: Option<broadcast::Receiver<Utf8Bytes>> = None;
    loop {
        let order = tokio::select! {
            order = orders.recv() => match order {
                Some(order) => order,
                None => break,
            },
            message = next(&mut room) => match message {
                Ok(message) => Order::Send(message),
                // Too slow: it would miss messages without being told.
                Err(_) => break,
            },
        };
        let text = match order {
            Order::Send(text) => text,
            Order::Join(text, receiver) => {
                room = Some(receiver);
                text
            }
        };
        if sink.feed(Message::Text(text)).await.is_err() {
            break;
        }
        // All that waits goes into the buffer before the one write of the flush.
        while let Some(Ok(message)) = room.as_mut().map(broadcast::Receiver::try_recv) {
            if sink.feed(Message::Text(message)).await.is_err() {
                return;
            }
        }
        if sink.flush().await.is_err() {
            break;
        }
    }
    let _ = sink.close().await;
}

async fn next(
    room: &mut Option<broadcast::Receiver<Utf8Bytes>>,
) -> Result<Utf8Bytes, broadcast::error::RecvError> {
    match room {
        Some(room) => room.recv().await,
        None => std::future::pending().await,
    }
}
