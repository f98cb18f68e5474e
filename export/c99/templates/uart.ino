// Reads records from a UART, encodes them, and sends the bytes of one lane as they become final.
//
// A record is PCEDGE_VARIABLES symbols, lowest byte first. Of a circuit with a symbolizer PCEDGE_ROWS
// rows of numbers are read instead; of one with a predictor stage a row, whose raw bits are sent
// behind the bytes of its tokens. After each, the answer is the number of bytes that became final, two
// bytes, lowest first, and these bytes; after LANE records the lane ends. On the other side they are a
// lane of a stream with S = 1 (docs/stream.md). The number 65,535 says that a symbol was none of its
// variable, or a number out of its range, and nothing was encoded.
#include <pcedge.h>

// Records or rows of a lane: what a damaged byte can spoil.
#define LANE 64

static pcedge_t codec;
static unsigned count = 0;

static void send(uint16_t size) {
  Serial.write((uint8_t)(size & 255));
  Serial.write((uint8_t)(size >> 8));
}

#if PCEDGE_STAGE
static pcedge_number_t input[PCEDGE_COLUMNS];
static uint8_t bytes[PCEDGE_COLUMNS * (PCEDGE_SCALE_BITS / 8) + 64];
static uint8_t raw[PCEDGE_COLUMNS * 8 + 8];

static void begin() { pcedge_encode_start(&codec, bytes, sizeof bytes, raw, sizeof raw); }

static pcedge_status_t encode() { return pcedge_encode(&codec, input, NULL); }

static void send_bytes() {
  size_t beside = 0;
  const size_t size = pcedge_encode_take(&codec, &beside);
  send((uint16_t)size);
  Serial.write(bytes, size);
  send((uint16_t)beside);
  Serial.write(raw, beside);
}
#else
static pcedge_symbol_t record[PCEDGE_RECORDS * PCEDGE_VARIABLES];
static uint8_t bytes[PCEDGE_RECORDS * PCEDGE_VARIABLES * (PCEDGE_SCALE_BITS / 8) + 64];
#if PCEDGE_SYMBOLIZER
static pcedge_number_t input[PCEDGE_ROWS * PCEDGE_COLUMNS];
#else
static pcedge_symbol_t (&input)[PCEDGE_VARIABLES] = record;
#endif

static void begin() {
  pcedge_encode_start(&codec, bytes, sizeof bytes);
#if PCEDGE_SYMBOLIZER
  pcedge_symbols_start(&codec);
#endif
}

static pcedge_status_t encode() {
  pcedge_status_t status = PCEDGE_OK;
#if PCEDGE_SYMBOLIZER
  status = pcedge_symbols(&codec, input, PCEDGE_ROWS, record);
#endif
  for (unsigned i = 0; i < PCEDGE_RECORDS && status == PCEDGE_OK; ++i) {
    status = pcedge_encode(&codec, record + i * PCEDGE_VARIABLES);
  }
  return status;
}

static void send_bytes() {
  const size_t size = pcedge_encode_take(&codec);
  send((uint16_t)size);
  Serial.write(bytes, size);
}
#endif

void setup() {
  Serial.begin(115200);
  Serial.setTimeout(1000);
  begin();
}

void loop() {
  if (Serial.readBytes((char *)input, sizeof input) != sizeof input) {
    return; // nothing, or a piece of a record: it is not encoded
  }
  const pcedge_status_t status = encode();
  if (status == PCEDGE_OK && ++count < LANE) {
    send_bytes();
    return;
  }
  if (status != PCEDGE_SYMBOL) {
    pcedge_encode_finish(&codec);
    send_bytes();
    begin();
    count = 0;
  } else {
    send(65535);
  }
}
