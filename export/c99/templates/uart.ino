// Reads records from a UART, encodes them, and sends the bytes of one lane as they become final.
//
// A record is PCEDGE_VARIABLES symbols, lowest byte first. After each, the answer is the number of
// bytes that became final, two bytes, lowest first, and these bytes; after LANE records the lane
// ends. On the other side they are a lane of a stream with S = 1 (docs/stream.md). The number 65,535
// says that a symbol was none of its variable, and nothing was encoded.
#include <pcedge.h>

// Records of a lane: what a damaged byte can spoil.
#define LANE 64

static pcedge_t codec;
static pcedge_symbol_t record[PCEDGE_VARIABLES];
static uint8_t bytes[PCEDGE_VARIABLES * (PCEDGE_SCALE_BITS / 8) + 64];
static unsigned count = 0;

static void send(uint16_t size) {
  Serial.write((uint8_t)(size & 255));
  Serial.write((uint8_t)(size >> 8));
}

static void send_bytes() {
  const size_t size = pcedge_encode_take(&codec);
  send((uint16_t)size);
  Serial.write(bytes, size);
}

void setup() {
  Serial.begin(115200);
  Serial.setTimeout(1000);
  pcedge_encode_start(&codec, bytes, sizeof bytes);
}

void loop() {
  if (Serial.readBytes((char *)record, sizeof record) != sizeof record) {
    return; // nothing, or a piece of a record: it is not encoded
  }
  const pcedge_status_t status = pcedge_encode(&codec, record);
  if (status == PCEDGE_OK && ++count < LANE) {
    send_bytes();
    return;
  }
  if (status != PCEDGE_SYMBOL) {
    pcedge_encode_finish(&codec);
    send_bytes();
    pcedge_encode_start(&codec, bytes, sizeof bytes);
    count = 0;
  } else {
    send(65535);
  }
}
