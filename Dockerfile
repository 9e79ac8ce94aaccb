# The program with the tools that it starts: docker build -t vgg2rtl . && docker run --rm -v "$PWD:/work" vgg2rtl doctor
FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin vgg2rtl

FROM debian:12-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ iverilog make verilator yosys \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/target/release/vgg2rtl /usr/local/bin/vgg2rtl
WORKDIR /work
ENTRYPOINT ["vgg2rtl"]
CMD ["--help"]
