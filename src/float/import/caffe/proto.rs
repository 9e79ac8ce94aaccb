//! The messages of Caffe that a VGG needs, written after `src/caffe/proto/caffe.proto` (field numbers are the file format).
//! Fields that are not listed are skipped on reading.

#![allow(missing_docs)] // the names are those of the published schema

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub struct NetParameter {
    #[prost(string, tag = "1")]
    pub name: String,
    /// Version 1.
    #[prost(message, repeated, tag = "2")]
    pub layers: Vec<V1LayerParameter>,
    #[prost(string, repeated, tag = "3")]
    pub input: Vec<String>,
    #[prost(int32, repeated, packed = "false", tag = "4")]
    pub input_dim: Vec<i32>,
    #[prost(message, repeated, tag = "8")]
    pub input_shape: Vec<BlobShape>,
    /// Version 2.
    #[prost(message, repeated, tag = "100")]
    pub layer: Vec<LayerParameter>,
}

#[derive(Clone, PartialEq, Message)]
pub struct V1LayerParameter {
    #[prost(string, repeated, tag = "2")]
    pub bottom: Vec<String>,
    #[prost(string, repeated, tag = "3")]
    pub top: Vec<String>,
    #[prost(string, tag = "4")]
    pub name: String,
    #[prost(int32, tag = "5")]
    pub r#type: i32,
    #[prost(message, repeated, tag = "6")]
    pub blobs: Vec<BlobProto>,
    #[prost(message, optional, tag = "10")]
    pub convolution_param: Option<ConvolutionParameter>,
    #[prost(message, optional, tag = "17")]
    pub inner_product_param: Option<InnerProductParameter>,
    #[prost(message, optional, tag = "19")]
    pub pooling_param: Option<PoolingParameter>,
    #[prost(message, optional, tag = "30")]
    pub relu_param: Option<ReLuParameter>,
}

#[derive(Clone, PartialEq, Message)]
pub struct LayerParameter {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub r#type: String,
    #[prost(string, repeated, tag = "3")]
    pub bottom: Vec<String>,
    #[prost(string, repeated, tag = "4")]
    pub top: Vec<String>,
    #[prost(message, repeated, tag = "7")]
    pub blobs: Vec<BlobProto>,
    #[prost(message, optional, tag = "106")]
    pub convolution_param: Option<ConvolutionParameter>,
    #[prost(message, optional, tag = "117")]
    pub inner_product_param: Option<InnerProductParameter>,
    #[prost(message, optional, tag = "121")]
    pub pooling_param: Option<PoolingParameter>,
    #[prost(message, optional, tag = "123")]
    pub relu_param: Option<ReLuParameter>,
    #[prost(message, optional, tag = "139")]
    pub batch_norm_param: Option<BatchNormParameter>,
    #[prost(message, optional, tag = "143")]
    pub input_param: Option<InputParameter>,
}

#[derive(Clone, PartialEq, Message)]
pub struct BlobProto {
    #[prost(int32, tag = "1")]
    pub num: i32,
    #[prost(int32, tag = "2")]
    pub channels: i32,
    #[prost(int32, tag = "3")]
    pub height: i32,
    #[prost(int32, tag = "4")]
    pub width: i32,
    #[prost(float, repeated, tag = "5")]
    pub data: Vec<f32>,
    #[prost(message, optional, tag = "7")]
    pub shape: Option<BlobShape>,
    #[prost(double, repeated, tag = "8")]
    pub double_data: Vec<f64>,
}

#[derive(Clone, PartialEq, Message)]
pub struct BlobShape {
    #[prost(int64, repeated, tag = "1")]
    pub dim: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ConvolutionParameter {
    #[prost(uint32, repeated, packed = "false", tag = "3")]
    pub pad: Vec<u32>,
    #[prost(uint32, repeated, packed = "false", tag = "4")]
    pub kernel_size: Vec<u32>,
    #[prost(uint32, optional, tag = "5")]
    pub group: Option<u32>,
    #[prost(uint32, repeated, packed = "false", tag = "6")]
    pub stride: Vec<u32>,
    #[prost(uint32, optional, tag = "9")]
    pub pad_h: Option<u32>,
    #[prost(uint32, optional, tag = "10")]
    pub pad_w: Option<u32>,
    #[prost(uint32, optional, tag = "13")]
    pub stride_h: Option<u32>,
    #[prost(uint32, optional, tag = "14")]
    pub stride_w: Option<u32>,
    #[prost(uint32, repeated, packed = "false", tag = "18")]
    pub dilation: Vec<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub struct InnerProductParameter {
    #[prost(bool, tag = "6")]
    pub transpose: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct PoolingParameter {
    /// 0 the maximum, 1 the average.
    #[prost(int32, tag = "1")]
    pub pool: i32,
    #[prost(uint32, optional, tag = "2")]
    pub kernel_size: Option<u32>,
    #[prost(uint32, optional, tag = "3")]
    pub stride: Option<u32>,
    #[prost(uint32, optional, tag = "4")]
    pub pad: Option<u32>,
    #[prost(uint32, optional, tag = "5")]
    pub kernel_h: Option<u32>,
    #[prost(uint32, optional, tag = "6")]
    pub kernel_w: Option<u32>,
    #[prost(uint32, optional, tag = "7")]
    pub stride_h: Option<u32>,
    #[prost(uint32, optional, tag = "8")]
    pub stride_w: Option<u32>,
    #[prost(bool, tag = "12")]
    pub global_pooling: bool,
    /// 0 rounds sizes up, 1 down.
    #[prost(int32, tag = "13")]
    pub round_mode: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct ReLuParameter {
    #[prost(float, tag = "1")]
    pub negative_slope: f32,
}

#[derive(Clone, PartialEq, Message)]
pub struct BatchNormParameter {
    #[prost(float, optional, tag = "3")]
    pub eps: Option<f32>,
}

#[derive(Clone, PartialEq, Message)]
pub struct InputParameter {
    #[prost(message, repeated, tag = "1")]
    pub shape: Vec<BlobShape>,
}
