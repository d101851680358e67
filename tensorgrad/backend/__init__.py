"""Arrays: which library they belong to, which device they are on, and the kernels special to one library."""

from tensorgrad.backend import attention_kernels as attention_kernels
from tensorgrad.backend import contraction_kernels as contraction_kernels
from tensorgrad.backend import convolution_kernels as convolution_kernels
from tensorgrad.backend import convolve_kernels as convolve_kernels
from tensorgrad.backend import cuda_attention_kernels as cuda_attention_kernels
from tensorgrad.backend import cuda_convolution_kernels as cuda_convolution_kernels
from tensorgrad.backend import cuda_index_kernels as cuda_index_kernels
from tensorgrad.backend import cuda_normalization_kernels as cuda_normalization_kernels
from tensorgrad.backend import cuda_pooling_kernels as cuda_pooling_kernels
from tensorgrad.backend import cuda_product_kernels as cuda_product_kernels
from tensorgrad.backend import cuda_random_kernels as cuda_random_kernels
from tensorgrad.backend import cuda_sampling_kernels as cuda_sampling_kernels
from tensorgrad.backend import cuda_softmax_kernels as cuda_softmax_kernels
from tensorgrad.backend import cuda_update_kernels as cuda_update_kernels
from tensorgrad.backend import cuda_window_kernels as cuda_window_kernels
from tensorgrad.backend import index_kernels as index_kernels
from tensorgrad.backend import linear_kernels as linear_kernels
from tensorgrad.backend import normalization_kernels as normalization_kernels
from tensorgrad.backend import numba_rows as numba_rows
from tensorgrad.backend import padding_kernels as padding_kernels
from tensorgrad.backend import pooling_kernels as pooling_kernels
from tensorgrad.backend import recurrent_kernels as recurrent_kernels
from tensorgrad.backend import scan_kernels as scan_kernels
from tensorgrad.backend import segment_kernels as segment_kernels
from tensorgrad.backend import softmax_kernels as softmax_kernels
from tensorgrad.backend import sorting_kernels as sorting_kernels
from tensorgrad.backend import special_kernels as special_kernels
from tensorgrad.backend import window_kernels as window_kernels
from tensorgrad.backend.blas import one_thread
from tensorgrad.backend.blocks import LARGE, add_into, rules_in_blocks, wide
from tensorgrad.backend.buffers import empty, is_on_shelf
from tensorgrad.backend.convolution_choice import get_winograd, set_winograd
from tensorgrad.backend.dtypes import (
    FLOATING,
    INEXACT,
    as_dtype,
    bfloat16,
    complex_of,
    get_default_dtype,
    is_bfloat16,
    is_floating,
    is_half,
    is_inexact,
    limits,
    natural,
    set_default_dtype,
)
from tensorgrad.backend.fast import get_fast, set_fast
from tensorgrad.backend.kernels import kernel, kernels_of
from tensorgrad.backend.libraries import (
    ERROR_HOMES,
    NUMPY,
    SETTINGS,
    Array,
    Carrier,
    Library,
    add_library,
    as_array,
    beside,
    carrier,
    default_device,
    destination,
    device_named,
    device_of,
    follower,
    from_dlpack,
    is_array,
    item,
    kind_of,
    library_among,
    library_of,
    memory_of,
    move,
    namespace,
    on_device,
    raises_later,
    settle,
    stand_in,
    to_numpy,
)
from tensorgrad.backend.probe import NoDeviceError
from tensorgrad.backend.workers import get_num_threads, set_num_threads, share, threads

__all__ = [
    "ERROR_HOMES",
    "FLOATING",
    "INEXACT",
    "LARGE",
    "NUMPY",
    "SETTINGS",
    "Array",
    "Carrier",
    "Library",
    "NoDeviceError",
    "add_into",
    "add_library",
    "as_array",
    "as_dtype",
    "beside",
    "bfloat16",
    "carrier",
    "complex_of",
    "default_device",
    "destination",
    "device_named",
    "device_of",
    "empty",
    "follower",
    "from_dlpack",
    "get_default_dtype",
    "get_fast",
    "get_num_threads",
    "get_winograd",
    "is_array",
    "is_bfloat16",
    "is_floating",
    "is_half",
    "is_inexact",
    "is_on_shelf",
    "item",
    "kernel",
    "kernels_of",
    "kind_of",
    "library_among",
    "library_of",
    "limits",
    "memory_of",
    "move",
    "namespace",
    "natural",
    "on_device",
    "one_thread",
    "raises_later",
    "rules_in_blocks",
    "set_default_dtype",
    "set_fast",
    "set_num_threads",
    "set_winograd",
    "settle",
    "share",
    "stand_in",
    "threads",
    "to_numpy",
    "wide",
]
